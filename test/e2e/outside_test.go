package e2e_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// The observer is a process on the machine that the nodes are containers of: no node,
// and on none of their networks but by way of the bridge.
var _ = Describe("An observer outside", Ordered, ContinueOnFailure, func() {
	const (
		nodePort = 30058
		manifest = "../../config/components/outside-observer/observer.yaml"
		allPorts = "30000-32767"
	)
	var (
		web        app
		kubeconfig string
		// from is the address that the observer's dials come from.
		from string
	)

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "outside"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30058, app: {replicas: 2}}`)
		web.waitReady(ctx)

		kubectl(ctx, "apply", "--filename", manifest)
		DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "delete", "--ignore-not-found", "--filename", manifest) })
		token := kubectl(ctx, "create", "token", "outside", "--namespace", system)
		kubeconfig = writeKubeconfig(token)
		from = sourceTo(ctx, nodes[0])
		observe(kubeconfig)
		Eventually(web.outside).WithContext(ctx).Should(Equal(everyNode("Reachable 1/1")))
	})

	It("changes nothing in what is told of a sound app", func(ctx SpecContext) {
		Expect(web.rows(ctx)).To(Equal(everyNode("Reachable")))
		Expect(web.condition(ctx, v1alpha1.ConditionReady)).To(Equal("True " + v1alpha1.ReasonReady))
	})

	It("may write no report but its own", func(ctx SpecContext) {
		write := func(user []string, name string) error {
			_, err := run(ctx, "kubectl", append(user, "patch", "nodereachability", name, "--subresource=status",
				"--type=merge", `--patch={"status": {"nodePorts": "1"}}`)...)
			return err
		}
		Expect(write([]string{"--kubeconfig", kubeconfig}, nodes[0].name)).To(MatchError(ContainSubstring("Forbidden")))

		By("having the right to write any, and to read what kubectl reads first")
		takeBack := func(ctx SpecContext) {
			kubectl(ctx, "delete", "clusterrolebinding,clusterrole", "e2e-outside", "--ignore-not-found")
		}
		takeBack(ctx)
		kubectl(ctx, "create", "clusterrole", "e2e-outside", "--verb=get,patch",
			"--resource=nodereachabilities.exposedapp.dev,nodereachabilities.exposedapp.dev/status")
		kubectl(ctx, "create", "clusterrolebinding", "e2e-outside", "--clusterrole=e2e-outside",
			"--serviceaccount="+system+":outside")
		DeferCleanup(takeBack)
		Eventually(write).WithArguments([]string{"--kubeconfig", kubeconfig}, nodes[0].name).Should(MatchError(
			ContainSubstring("ValidatingAdmissionPolicy 'exposedapp-own-report-only'")))
	})

	It("tells of a node that answers inside alone", func(ctx SpecContext) {
		broken := nodes[len(nodes)-1]
		mend := inject(ctx, broken, drop("ip saddr "+from, nodePort))
		began := time.Now()
		Eventually(web.rows).WithContext(ctx).WithTimeout(noticed).WithPolling(50 * time.Millisecond).
			Should(HaveKeyWithValue(broken.name, "Unreachable "+v1alpha1.ReasonOutsideUnreachable))
		report("dropped for outside alone → status, after", tenths(time.Since(began)))
		Expect(others(broken)[0].dial(ctx, broken, nodePort)).To(Equal("200"))
		rows := everyNode("Reachable")
		rows[broken.name] = "Unreachable " + v1alpha1.ReasonOutsideUnreachable
		Expect(web.rows(ctx)).To(Equal(rows))

		mend(ctx)
		began = time.Now()
		Eventually(web.rows).WithContext(ctx).WithTimeout(noticed).WithPolling(50 * time.Millisecond).
			Should(Equal(everyNode("Reachable")))
		report("let through again → status, after", tenths(time.Since(began)))
	})

	It("turns nothing red where its own uplink is cut", func(ctx SpecContext) {
		noted := web.witness(ctx)
		for _, n := range nodes {
			inject(ctx, n, drop("ip saddr "+from, allPorts))
		}
		By("waiting until it has reported so")
		Eventually(failures).WithContext(ctx).WithArguments("outside").Should(HaveLen(1))
		Consistently(web.rows).WithContext(ctx).WithTimeout(uneventful).Should(WithTransform(states, Equal(everyNode("Reachable"))))
		Expect(noted()).To(BeEmpty())
		Expect(web.condition(ctx, v1alpha1.ConditionReady)).To(Equal("True " + v1alpha1.ReasonReady))
	})
})

// states returns rows without their reasons.
func states(rows map[string]string) map[string]string {
	short := make(map[string]string, len(rows))
	for name, row := range rows {
		short[name], _, _ = strings.Cut(row, " ")
	}
	return short
}

// failures returns what an observer reports to fail.
func failures(ctx context.Context, observer string) ([]v1alpha1.ProbeFailure, error) {
	object := &v1alpha1.NodeReachability{}
	err := cluster.Get(ctx, app{name: observer}.key(), object)
	return object.Status.Failures, err
}

// outside returns, by node, the state and how many observers outside reach it.
func (a app) outside(ctx context.Context) (map[string]string, error) {
	object, err := a.get(ctx)
	rows := make(map[string]string)
	for i := range object.Status.Nodes {
		verdict := &object.Status.Nodes[i]
		rows[verdict.Node] = strings.TrimSpace(string(verdict.State) + " " + verdict.Outside)
	}
	return rows, err
}

// writeKubeconfig writes one for a token on the lab's API server, and returns its path.
func writeKubeconfig(token string) string {
	GinkgoHelper()
	lab, err := ctrl.GetConfig()
	Expect(err).NotTo(HaveOccurred())
	config := clientcmdapi.NewConfig()
	config.Clusters["lab"] = &clientcmdapi.Cluster{Server: lab.Host, CertificateAuthorityData: lab.CAData}
	config.AuthInfos["outside"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["outside"] = &clientcmdapi.Context{Cluster: "lab", AuthInfo: "outside"}
	config.CurrentContext = "outside"
	path := filepath.Join(GinkgoT().TempDir(), "outside.kubeconfig")
	Expect(clientcmd.WriteToFile(*config, path)).To(Succeed())
	return path
}

// sourceTo returns the address of this machine that a node sees.
func sourceTo(ctx context.Context, n node) string {
	GinkgoHelper()
	connection, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(n.address, "9"))
	Expect(err).NotTo(HaveOccurred())
	defer connection.Close()
	host, _, err := net.SplitHostPort(connection.LocalAddr().String())
	Expect(err).NotTo(HaveOccurred())
	return host
}

// observe runs the agent of the checkout on this machine until the story ends.
func observe(kubeconfig string) {
	GinkgoHelper()
	agent := exec.Command("../../bin/agent", "--kubeconfig", kubeconfig, "--outside-observer=outside")
	// What the lab's pods have, this machine may have as well.
	agent.Env = append(os.Environ(), "NODE_NAME=")
	session, err := gexec.Start(agent, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred(), "make build, or make test-e2e, builds it")
	DeferCleanup(func() {
		session.Kill().Wait()
	})
	Consistently(session).WithTimeout(time.Second).ShouldNot(gexec.Exit())
}
