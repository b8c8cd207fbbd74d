package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

var _ = Describe("Flux", Ordered, ContinueOnFailure, func() {
	// patience is how long Flux waits for what it applied. It looks every 5
	// seconds.
	const patience = 2 * time.Minute
	var namespace string
	var from fileServer

	BeforeAll(func(ctx SpecContext) {
		install := exec.CommandContext(ctx, "go", "run", "./hack/lab", "flux")
		install.Dir, install.Stdout, install.Stderr = filepath.Join("..", ".."), GinkgoWriter, GinkgoWriter
		Expect(install.Run()).To(Succeed())
		namespace = newNamespace(ctx, "flux")
		from = serveFiles(ctx, nodes[0])
	})

	JustAfterEach(func(ctx SpecContext) {
		if !CurrentSpecReport().Failed() {
			return
		}
		for _, args := range []string{
			"get kustomizations,externalartifacts --output=yaml --namespace=" + namespace,
			"logs --namespace=flux-system deployment/kustomize-controller --tail=50",
		} {
			out, err := run(ctx, "kubectl", strings.Fields(args)...)
			GinkgoWriter.Println("$ kubectl", args, "\n", out, err)
		}
	})

	// deliver has Flux apply an ExposedApp and wait for it.
	deliver := func(ctx SpecContext, name, spec string) app {
		GinkgoHelper()
		from.deliver(ctx, namespace, name, patience, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: %s}
spec: %s`, name, spec))
		return app{namespace, name}
	}

	// says returns the status and the reason of the Kustomization's Ready.
	says := func(ctx context.Context, a app) (string, error) {
		return a.field(ctx, "kustomization", `{range .status.conditions[?(@.type=="Ready")]}{.status} {.reason}{end}`)
	}

	It("is done when the app answers on every node", func(ctx SpecContext) {
		web := deliver(ctx, "web", "{nodePort: 30070, app: {replicas: 2}}")
		Eventually(says).WithContext(ctx).WithArguments(web).Should(Equal("True ReconciliationSucceeded"))
		Expect(web.kstatus(ctx)).To(Equal(status.CurrentStatus))
		Expect(dialAll(ctx, 30070)).To(HaveEach(HaveSuffix(": 200")))
		Expect(web.rows(ctx)).To(Equal(everyNode("Reachable")))
	})

	It("gives up at once on a node port that is taken", func(ctx SpecContext) {
		kubectl(ctx, "--namespace", namespace, "create", "service", "nodeport", "foreign", "--tcp=80", "--node-port=30071")
		began := time.Now()
		web := deliver(ctx, "taken", "{nodePort: 30071}")
		Eventually(says).WithContext(ctx).WithTimeout(30 * time.Second).WithArguments(web).
			Should(Equal("False HealthCheckFailed"))
		report("Flux gives up on a taken node port after", tenths(time.Since(began)))
		// It names the object. Why is in the object's own message.
		Expect(web.field(ctx, "kustomization", `{.status.conditions[?(@.type=="Ready")].message}`)).
			To(SatisfyAll(ContainSubstring("stalled"), ContainSubstring("ExposedApp/"+namespace+"/taken")))
		Expect(web.message(ctx, v1alpha1.ConditionStalled)).To(ContainSubstring("Service " + namespace + "/foreign"))
	})

	It("goes on to wait for a node that does not answer", func(ctx SpecContext) {
		broken := nodes[len(nodes)-1]
		mend := inject(ctx, broken, silence(30072))
		web := deliver(ctx, "silent", "{nodePort: 30072}")
		Eventually(web.condition).WithContext(ctx).WithArguments(v1alpha1.ConditionReady).
			Should(Equal("False " + v1alpha1.ReasonNodesUnreachable))
		// Flux looks at it three times and more.
		Consistently(says).WithContext(ctx).WithTimeout(18 * time.Second).WithArguments(web).
			Should(Equal("Unknown Progressing"))

		mend(ctx)
		Eventually(says).WithContext(ctx).WithArguments(web).Should(Equal("True ReconciliationSucceeded"))
		Expect(web.rows(ctx)).To(Equal(everyNode("Reachable")))
	})
})

// fileServer is a folder on a node that the cluster's pods can read from.
type fileServer struct {
	node     node
	dir, url string
}

// serveFiles makes a node serve files until the story ends. kubectl, which every
// node has, serves them; with no cluster to talk to it does nothing else.
func serveFiles(ctx SpecContext, n node) fileServer {
	GinkgoHelper()
	const (
		port = "8099"
		unit = "e2e-files"
	)
	dir, err := n.run(ctx, "mktemp", "--directory")
	Expect(err).NotTo(HaveOccurred())
	dir = strings.TrimSpace(dir)
	// What an earlier run left behind, if it was cut short.
	_, _ = n.run(ctx, "systemctl", "stop", unit)
	_, err = n.run(ctx, "systemd-run", "--unit="+unit, "--collect", "kubectl", "proxy", "--kubeconfig=/dev/null",
		"--www="+dir, "--www-prefix=/files/", "--address="+n.address, "--port="+port, "--accept-hosts=.*")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) {
		_, err := n.run(ctx, "systemctl", "stop", unit)
		Expect(err).NotTo(HaveOccurred())
		_, err = n.run(ctx, "rm", "-r", dir)
		Expect(err).NotTo(HaveOccurred())
	})
	return fileServer{n, dir, "http://" + n.address + ":" + port + "/files/"}
}

// deliver hands a manifest to Flux as a source's artifact, and has it applied.
// What source-controller would write of a Git repository is written here: where
// the artifact is, and its digest.
func (s fileServer) deliver(ctx SpecContext, namespace, name string, patience time.Duration, manifest string) {
	GinkgoHelper()
	artifact := archived("app.yaml", manifest)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(artifact)))
	_, err := runWith(ctx, artifact, "docker", "exec", "--interactive", s.node.name, "tee", s.dir+"/"+name+".tar.gz")
	Expect(err).NotTo(HaveOccurred())

	apply(ctx, namespace, fmt.Sprintf(`
apiVersion: source.toolkit.fluxcd.io/v1
kind: ExternalArtifact
metadata: {name: %s}`, name))
	kubectl(ctx, "--namespace", namespace, "patch", "externalartifact", name, "--subresource=status", "--type=merge",
		"--patch", fmt.Sprintf(`{"status": {"artifact": {"url": %q, "path": %q, "digest": %q, "revision": %q, "lastUpdateTime": %q}}}`,
			s.url+name+".tar.gz", name+".tar.gz", digest, "latest@"+digest, time.Now().UTC().Format(time.RFC3339)))
	apply(ctx, namespace, fmt.Sprintf(`
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: %s}
spec:
  sourceRef: {kind: ExternalArtifact, name: %s}
  targetNamespace: %s
  interval: 1h
  timeout: %s
  wait: true
  prune: true`, name, name, namespace, patience))
	// It has a finalizer, and goes while the namespace is there.
	DeferCleanup(func(ctx SpecContext) {
		kubectl(ctx, "--namespace", namespace, "delete", "kustomization", name, "--timeout", rollout.String())
	})
}

// archived returns a file as a tar.gz.
func archived(name, content string) string {
	GinkgoHelper()
	var archive bytes.Buffer
	compressed := gzip.NewWriter(&archive)
	files := tar.NewWriter(compressed)
	Expect(files.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})).To(Succeed())
	_, err := files.Write([]byte(content))
	Expect(err).NotTo(HaveOccurred())
	Expect(files.Close()).To(Succeed())
	Expect(compressed.Close()).To(Succeed())
	return archive.String()
}
