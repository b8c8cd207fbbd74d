package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// outsider is the name of the observer outside of the cluster.
const outsider = "outside"

// observeFromOutside has an agent observe the nodes from this machine, until the
// end of the spec.
func observeFromOutside(ctx SpecContext) {
	GinkgoHelper()
	const manifest = "../../config/components/outside-observer/observer.yaml"
	kubectl(ctx, "apply", "--filename", manifest)
	DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "delete", "--ignore-not-found", "--filename", manifest) })
	started := time.Now()
	observe(writeKubeconfig(kubectl(ctx, "create", "token", outsider, "--namespace", system)))
	Eventually(renewTimeOf).WithContext(ctx).WithArguments(outsider).Should(BeTemporally(">", started))
}

// deployWith adds a component of config/components to what is deployed, until the
// end of the spec.
func deployWith(ctx SpecContext, component string) {
	GinkgoHelper()
	deployAgain(ctx, component)
	DeferCleanup(func(ctx SpecContext) { deployAgain(ctx) })
}

// deployAgain deploys the images that run, with these components.
func deployAgain(ctx SpecContext, components ...string) {
	GinkgoHelper()
	const folder = "../../dist"
	Expect(os.MkdirAll(folder, 0o755)).To(Succeed())
	overlay, err := os.MkdirTemp(folder, "e2e-")
	Expect(err).NotTo(HaveOccurred())
	defer os.RemoveAll(overlay)
	image := func(workload string) string {
		return kubectl(ctx, "get", "--namespace", system, workload, "--output=jsonpath={.spec.template.spec.containers[0].image}")
	}
	patch := func(kind, name, image string) string {
		return fmt.Sprintf(`
- target: {kind: %s, name: %s}
  patch: '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "%s"}]'`, kind, name, image)
	}
	lines := []string{"resources: [../../config/default]", "patches:" +
		patch("Deployment", "exposedapp-operator", image("deployment/exposedapp-operator")) +
		patch("DaemonSet", "exposedapp-agent", image("daemonset/exposedapp-agent"))}
	if len(components) > 0 {
		lines = append(lines, "components:")
	}
	for _, component := range components {
		lines = append(lines, "- ../../config/components/"+component)
	}
	Expect(os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(strings.Join(lines, "\n")), 0o644)).To(Succeed())
	_, err = runWith(ctx, kubectl(ctx, "kustomize", overlay), "kubectl", "apply", "--server-side", "--force-conflicts", "--filename=-")
	Expect(err).NotTo(HaveOccurred())
	kubectl(ctx, "rollout", "status", "--namespace", system, "daemonset/exposedapp-agent", "--timeout", rollout.String())
}
