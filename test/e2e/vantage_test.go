package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// outsider is the name of the observer outside of the cluster.
const outsider = "outside"

// observeFromOutside has an agent observe the nodes from this machine until the end
// of the spec.
func observeFromOutside(ctx SpecContext) {
	GinkgoHelper()
	const manifest = "../../config/components/outside-observer/observer.yaml"
	kubectl(ctx, "apply", "--server-side", "--filename="+manifest)
	DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "delete", "--filename="+manifest) })

	agent := exec.Command("../../bin/agent", "--outside-observer="+outsider, "--kubeconfig="+outsideKubeconfig(ctx))
	agent.Stdout, agent.Stderr = GinkgoWriter, GinkgoWriter
	Expect(agent.Start()).To(Succeed())
	DeferCleanup(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
	})
	started := time.Now()
	Eventually(func() (time.Time, error) { return renewTimeOf(ctx, outsider) }).WithContext(ctx).
		Should(BeTemporally(">", started))
}

// outsideKubeconfig returns a file by which the observer outside of the cluster, and
// nobody else, reaches the API server.
func outsideKubeconfig(ctx SpecContext) string {
	GinkgoHelper()
	token := kubectl(ctx, "create", "token", "--namespace", system, outsider)
	config, err := clientcmd.Load([]byte(kubectl(ctx, "config", "view", "--minify", "--raw")))
	Expect(err).NotTo(HaveOccurred())
	for _, user := range config.AuthInfos {
		user.ClientCertificateData, user.ClientKeyData, user.Token = nil, nil, token
	}
	path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(clientcmd.WriteToFile(*config, path)).To(Succeed())
	return path
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

// An observer outside of the cluster is a machine like any other: it loses its
// network, and anybody could run one.
var _ = Describe("An observer outside of the cluster", Ordered, ContinueOnFailure, func() {
	const nodePort = 30058
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "outside"), "web"}
		apply(ctx, web.namespace, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: %d, app: {replicas: 2}}`, nodePort))
		web.waitReady(ctx)
	})

	It("tells what those inside cannot see, and nothing where it reaches nobody", func(ctx SpecContext) {
		observeFromOutside(ctx)
		for _, n := range nodes {
			Eventually(web.outside).WithContext(ctx).WithArguments(n).Should(Equal("1/1"))
		}

		By("cutting off its uplink")
		noted := web.witness(ctx)
		gateway := gatewayOf(ctx, nodes[0])
		var mends []func(ctx SpecContext)
		for _, n := range nodes {
			mends = append(mends, inject(ctx, n, drop("ip saddr "+gateway, "30000-32767")))
		}
		Expect(dialOutside(ctx, nodes[0], nodePort)).To(Equal(timedOut))
		Consistently(web.rows).WithContext(ctx).WithTimeout(2 * uneventful).Should(HaveEach(HavePrefix("Reachable")))
		Expect(noted()).To(BeEmpty())
		for _, mend := range mends {
			mend(ctx)
		}
		Eventually(web.rows).WithContext(ctx).Should(Equal(everyNode("Reachable")))

		By("having a node answer the others alone")
		broken := nodes[len(nodes)-1]
		mend := inject(ctx, broken, drop("ip saddr "+gateway, nodePort))
		Eventually(dialOutside).WithContext(ctx).WithArguments(broken, int32(nodePort)).Should(Equal(timedOut))
		Eventually(web.rows).WithContext(ctx).WithTimeout(noticed).
			Should(HaveKeyWithValue(broken.name, "Unreachable "+v1alpha1.ReasonOutsideUnreachable))
		mend(ctx)
		Eventually(web.rows).WithContext(ctx).WithTimeout(noticed).Should(Equal(everyNode("Reachable")))
	})

	It("may write no report but its own", func(ctx SpecContext) {
		observeFromOutside(ctx)
		config := "--kubeconfig=" + outsideKubeconfig(ctx)
		for _, other := range []string{nodes[0].name, "another"} {
			_, err := run(ctx, "kubectl", config, "patch", "nodereachability", other, "--subresource=status",
				"--type=merge", `--patch={"status": {"agentVersion": "forged"}}`)
			Expect(err).To(MatchError(ContainSubstring("forbidden")), other)
		}

		By("having all rights of the agents, which leaves the policy to refuse it")
		binding := []string{"clusterrolebinding", "e2e-outside"}
		kubectl(ctx, append([]string{"delete", "--ignore-not-found"}, binding...)...)
		kubectl(ctx, append([]string{"create"}, append(binding,
			"--clusterrole=exposedapp-agent", "--serviceaccount="+system+":"+outsider)...)...)
		DeferCleanup(func(ctx SpecContext) { kubectl(ctx, append([]string{"delete"}, binding...)...) })
		Eventually(func() error {
			_, err := run(ctx, "kubectl", config, "patch", "nodereachability", nodes[0].name, "--subresource=status",
				"--type=merge", `--patch={"status": {"nodePorts": "1"}}`)
			return err
		}).WithContext(ctx).Should(MatchError(ContainSubstring("ValidatingAdmissionPolicy 'exposedapp-own-report-only'")))
	})
})

// gatewayOf returns the address of this machine as a node sees it.
func gatewayOf(ctx SpecContext, n node) string {
	GinkgoHelper()
	route, err := n.run(ctx, "ip", "-4", "route", "show", "default")
	Expect(err).NotTo(HaveOccurred())
	fields := strings.Fields(route)
	Expect(len(fields)).To(BeNumerically(">", 2), route)
	return fields[2]
}
