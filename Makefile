# Where the operator's image is, and from it where the agent's is: the last word
# of the repository is "operator" in the one and "agent" in the other, or the
# agent's has "-agent" at its end. reg/foo:1 → reg/foo-agent:1.
IMG ?= ghcr.io/exposedapp/operator:dev
AGENT_IMG ?= $(dir_of_img)$(if $(filter %operator,$(name_of_img)),$(name_of_img:%operator=%agent),$(name_of_img)-agent)$(tag_of_img)

# A port of the registry is no tag, so only what follows the last slash is split.
last_of_img = $(lastword $(subst /, ,$(IMG)))
dir_of_img = $(patsubst %$(last_of_img),%,$(IMG))
name_of_img = $(firstword $(subst :, ,$(last_of_img)))
tag_of_img = $(patsubst $(name_of_img)%,%,$(last_of_img))

VERSION ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),dev)

# Where none is installed, the lab builds one.
KUBECTL ?= $(or $(shell command -v kubectl),"$$(go run ./hack/lab assets)"/kubectl)

CONTROLLER_GEN = go tool -modfile=hack/tools/go.mod controller-gen
CRD_REF_DOCS = go tool -modfile=hack/tools/go.mod crd-ref-docs
KUSTOMIZE = go tool -modfile=hack/tools/go.mod kustomize
GOLANGCI_LINT = go tool -modfile=hack/tools/golangci-lint/go.mod golangci-lint

# What `make generate manifests docs` writes.
GENERATED = api config/crd/bases docs/api.md

# One way to compile for all but the race detector: the lab, the linter and the
# programs share what is compiled, with a C compiler there or not.
export CGO_ENABLED = 0
export GOFLAGS += -trimpath

SHELL = bash
.SHELLFLAGS = -eo pipefail -c

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2} /^##@/ {printf "\n%s\n", substr($$0, 5)}' $(MAKEFILE_LIST)

##@ Develop
.PHONY: generate manifests docs lint verify verify-generated verify-modules

generate: ## Write deepcopy functions and apply configurations from api/
	rm -rf api/v1alpha1/applyconfiguration
	$(CONTROLLER_GEN) object applyconfiguration paths=./api/...

manifests: ## Write the CRDs from api/ and hack/crd/bounds.yaml
	rm -rf config/crd/bases
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd/bases
	go run ./hack/crd config/crd/bases

docs: ## Write the API reference, docs/api.md, from api/
	@mkdir -p docs
	$(CRD_REF_DOCS) --source-path=api --config=hack/tools/crd-ref-docs.yaml --renderer=markdown --output-path=docs/api.md --log-level=ERROR

lint: ## Run golangci-lint, which checks the format and vets as well
	$(GOLANGCI_LINT) run

verify: verify-generated verify-modules lint ## Check that generated files and modules are up to date, and lint

# Generates in a copy, so that a work tree with changes stays as it is.
verify-generated:
	@copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; \
	tar --exclude=./.git --exclude=./bin --exclude=./dist -cf - . | tar -xf - -C "$$copy"; \
	$(MAKE) --no-print-directory -C "$$copy" generate manifests docs; \
	for path in $(GENERATED); do \
		diff -ruN "$$path" "$$copy/$$path" || { echo "$$path: run make generate manifests docs"; exit 1; }; \
	done

verify-modules:
	@for module in $$(find . -name go.mod -exec dirname {} +); do \
		go -C "$$module" mod tidy -diff || { echo "$$module: run go mod tidy"; exit 1; }; \
	done

##@ Test
.PHONY: test test-unit test-e2e test-faults bench bench-short

# The mode of kube-proxy in the lab, and the one that the specs which depend on
# it run in as well.
LAB_PROXY ?= iptables
export LAB_PROXY
OTHER_PROXY = $(if $(filter nftables,$(LAB_PROXY)),iptables,nftables)

E2E = go test ./test/e2e -v -count=1 -ginkgo.no-color

test: test-unit test-e2e ## Run all tests

# What takes the race detector ten times as long, and runs nothing else than other tests.
UNRACED = TestAnAppHarmsItsOwnVerdictOnly|TestFlappingAppsRaiseNoDoubtAboutOthers|TestAmongFatObjects

test-unit: ## Run the tests that need no cluster, with the race detector where there is a C compiler
	assets=$$(go run ./hack/lab assets); \
	if command -v gcc >/dev/null; then export CGO_ENABLED=1 race=-race; fi; \
	env -u GOFLAGS KUBEBUILDER_ASSETS=$$assets go test -timeout=30m $$race $$(go list ./... | grep -v /test/e2e); \
	if [[ -n $$race ]]; then CGO_ENABLED=0 KUBEBUILDER_ASSETS=$$assets go test -run='$(UNRACED)' ./internal/agent ./test/limits; fi

test-e2e: ## Run the tests against a three-node KinD cluster, which is brought up first: LAB_PROXY=nftables or iptables
	go run ./hack/lab up
	go run ./hack/lab flux
	browser=$$(go run ./hack/lab browser); env=$$(go run ./hack/lab env); eval "$$env"; go run ./hack/demo deploy; \
	CHROMIUM=$$browser $(E2E) -timeout=50m -ginkgo.label-filter='!faults || short'; \
	LAB_PROXY=$(OTHER_PROXY) go run ./hack/lab up; $(E2E) -timeout=20m -ginkgo.label-filter=proxy

# Faults that take long are tried in every third round.
FAULT_ROUNDS ?= 3

# A socket load balancer on every node while the faults are tried: with the agents
# as they are by default (default), or with what proves more (proof).
LAB_SOCKETLB ?=

test-faults: ## Break one thing after the other on the KinD cluster, and count the status's false words: LAB_PROXY as well, LAB_SOCKETLB=default or proof
	go run ./hack/lab up
	env=$$(go run ./hack/lab env); eval "$$env"; go run ./hack/demo deploy; \
	FAULT_ROUNDS=$(FAULT_ROUNDS) LAB_SOCKETLB=$(LAB_SOCKETLB) $(E2E) -timeout=60m -ginkgo.label-filter=faults

# A regular expression of the benchmarks to run.
BENCH ?= .

bench: ## Measure the programs on a real API server: BENCH=converge picks some, all take two to three hours
	assets=$$(go run ./hack/lab assets); KUBEBUILDER_ASSETS=$$assets go run ./test/bench -run '$(BENCH)'

bench-short: ## Run the benchmarks with next to nothing to do, only to see that they work
	assets=$$(go run ./hack/lab assets); KUBEBUILDER_ASSETS=$$assets go run ./test/bench -short -run '$(BENCH)'

##@ Build
.PHONY: build docker-build docker-push build-installer dist/overlay

build: ## Build the programs for Linux into bin/
	GOOS=linux go build -buildvcs=false -ldflags='-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...

# The user's docker, or the lab's where there is none.
docker-build: build ## Build both images: IMG=registry/operator:tag
	go run ./hack/lab engine
	env=$$(go run ./hack/lab env); eval "$$env"; \
	docker build --target=operator --tag=$(IMG) .; \
	docker build --target=agent --tag=$(AGENT_IMG) .

docker-push: ## Push both images: IMG=registry/operator:tag
	env=$$(go run ./hack/lab env); eval "$$env"; docker push $(IMG); docker push $(AGENT_IMG)

build-installer: dist/overlay ## Write dist/install.yaml, all of it in one file: IMG=registry/operator:tag
	$(KUSTOMIZE) build dist/overlay >dist/install.yaml

# An overlay of config/default that names the two images, so that nothing under
# config/ is edited.
define OVERLAY
resources:
- ../../config/default
patches:
- target: {kind: Deployment, name: exposedapp-operator}
  patch: '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "$(IMG)"}]'
- target: {kind: DaemonSet, name: exposedapp-agent}
  patch: '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "$(AGENT_IMG)"}]'
endef
export OVERLAY

dist/overlay:
	@mkdir -p $@ && echo "$$OVERLAY" >$@/kustomization.yaml

##@ Deploy to the current context
.PHONY: install uninstall deploy undeploy

install: ## Install the CRDs
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply --server-side --force-conflicts -f -

uninstall: ## Remove the CRDs, and with them every ExposedApp
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found -f -

deploy: dist/overlay ## Deploy the operator, the agents and the CRDs: IMG=registry/operator:tag
	$(KUSTOMIZE) build dist/overlay | $(KUBECTL) apply --server-side --force-conflicts -f -

undeploy: ## Remove all that deploy made, and with the CRDs every ExposedApp
	$(KUSTOMIZE) build config/default | $(KUBECTL) delete --ignore-not-found -f -

##@ Try it
.PHONY: demo demo-down

demo: ## From nothing to podinfo on every node of a three-node KinD cluster: LAB_PROXY as well
	go run ./hack/lab up
	env=$$(go run ./hack/lab env); eval "$$env"; go run ./hack/demo

demo-down: ## Remove the cluster and its container engine
	go run ./hack/lab down
