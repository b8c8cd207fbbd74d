// Package e2e tells the project's stories on a real cluster: the lab's, with the
// operator and the agents of the checkout deployed on it.
//
// Whether a story went well is for others to judge: curl on the nodes, kubectl,
// kstatus, the nodes' own packet filter, the API server's counters. What the
// status claims is held against them.
//
// Each story has a namespace of its own, so that they can be told in any order.
// Their node ports are below 30086, where Kubernetes picks none by itself.
package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

const (
	system = "exposedapp-system"

	// storyLabel marks the namespaces of the stories.
	storyLabel = "exposedapp.dev/e2e"

	// rollout is how long pods may take to be there, or to be gone.
	rollout = 90 * time.Second

	// noticed is the promise on a node that stops to answer, or answers again.
	noticed = 8 * time.Second
)

var (
	cluster client.WithWatch

	// nodes are the control plane and the workers, by name.
	nodes []node
)

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "E2E")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	SetDefaultEventuallyTimeout(rollout)
	SetDefaultEventuallyPollingInterval(200 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))

	config, err := ctrl.GetConfig()
	Expect(err).NotTo(HaveOccurred(), `run it by make test-e2e, or after eval "$(go run ./hack/lab env)"`)
	Expect(v1alpha1.AddToScheme(clientgoscheme.Scheme)).To(Succeed())
	cluster, err = client.NewWithWatch(config, client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())

	var found corev1.NodeList
	Expect(cluster.List(ctx, &found)).To(Succeed())
	for i := range found.Items {
		nodes = append(nodes, nodeOf(&found.Items[i]))
	}
	for _, n := range nodes {
		_, err := n.run(ctx, "true")
		Expect(err).NotTo(HaveOccurred(), "this is not the lab's cluster")
	}

	// What an earlier run left behind, if it was cut short.
	kubectl(ctx, "delete", "namespace", "--selector", storyLabel, "--timeout", rollout.String())
	for _, workload := range []string{"deployment/exposedapp-operator", "daemonset/exposedapp-agent"} {
		kubectl(ctx, "rollout", "status", "--namespace", system, workload, "--timeout", rollout.String())
	}
	// A pod that is being replaced may still lead, or report.
	Eventually(func(g Gomega, ctx SpecContext) {
		var pods corev1.PodList
		g.Expect(cluster.List(ctx, &pods, client.InNamespace(system))).To(Succeed())
		g.Expect(pods.Items).To(HaveEach(HaveField("DeletionTimestamp", BeNil())))
		leads, err := leader(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(pods.Items).To(ContainElement(HaveField("Name", leads)))
	}).WithContext(ctx).Should(Succeed())
	unfold(ctx)
})

// What helps to find out why a spec failed.
var _ = JustAfterEach(func(ctx SpecContext) {
	if !CurrentSpecReport().Failed() {
		return
	}
	for _, args := range []string{
		"get exposedapps --all-namespaces --output=yaml",
		"get nodereachabilities --output=yaml",
		"get pods,services --all-namespaces --output=wide",
		"get events --all-namespaces --sort-by=.metadata.creationTimestamp",
		"logs --namespace=" + system + " --selector=app.kubernetes.io/name=exposedapp --prefix --timestamps --tail=50",
	} {
		out, err := run(ctx, "kubectl", strings.Fields(args)...)
		GinkgoWriter.Printf("\n$ kubectl %s\n%s", args, out)
		if err != nil {
			GinkgoWriter.Println(err)
		}
	}
})

// newNamespace makes a story's namespace, and removes it after the story.
func newNamespace(ctx SpecContext, story string) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "e2e-" + story + "-",
		Labels:       map[string]string{storyLabel: story},
	}}
	Expect(cluster.Create(ctx, namespace)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(cluster.Delete(ctx, namespace)).To(Succeed())
	})
	return namespace.Name
}

// others returns the nodes but one.
func others(one node) []node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n node) bool { return n == one })
}

func namesOf(some []node) []string {
	var names []string
	for _, n := range some {
		names = append(names, n.name)
	}
	return names
}

// report puts what was measured into the suite's output.
func report(what string, value any) {
	AddReportEntry(what, fmt.Sprint(value), ReportEntryVisibilityAlways)
}

func tenths(d time.Duration) time.Duration {
	return d.Round(100 * time.Millisecond)
}
