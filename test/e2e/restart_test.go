package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// A report outlives the operator that read it.
var _ = Describe("What was found stands", Ordered, ContinueOnFailure, func() {
	const count = 20
	var namespace string
	var apps []app

	BeforeAll(func(ctx SpecContext) {
		namespace = newNamespace(ctx, "restart")
		var manifests []string
		for i := range count {
			a := app{namespace, fmt.Sprintf("web-%d", i)}
			apps = append(apps, a)
			manifests = append(manifests, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: %s}
spec: {}`, a.name))
		}
		apply(ctx, namespace, strings.Join(manifests, "\n---"))
		for _, a := range apps {
			a.waitReady(ctx)
			Eventually(a.rows).WithContext(ctx).Should(Equal(everyNode("Reachable")))
		}
		Eventually(func() []write {
			written := witnessWrites(ctx, namespace)
			time.Sleep(5 * time.Second)
			return written()
		}).WithContext(ctx).Should(BeEmpty(), "the last word on the new apps")
	})

	It("while the operator and the agents are rolled out anew", func(ctx SpecContext) {
		old := operators(ctx)
		writes := witnessWrites(ctx, namespace)
		rollOutAnew(ctx)
		rolledOut := time.Now()
		Eventually(leader).WithContext(ctx).ShouldNot(BeElementOf(old))
		// Two reports of each of the new agents, the first of which comes soon.
		for range 2 {
			for _, n := range nodes {
				Eventually(renewTime).WithContext(ctx).WithArguments(n).Should(BeTemporally(">", rolledOut))
			}
			rolledOut = time.Now()
		}
		Expect(writes()).To(BeEmpty())
	})

	It("until the reports are stale, with no agent and a new operator", func(ctx SpecContext) {
		writes := witnessWrites(ctx, namespace)
		banishAgents(ctx)
		var stale time.Time
		for _, n := range nodes {
			at, err := staleTime(ctx, n)
			Expect(err).NotTo(HaveOccurred())
			if stale.IsZero() || at.Before(stale) {
				stale = at
			}
		}
		old := operators(ctx)
		kubectl(ctx, "delete", "pods", "--namespace", system, "--selector=app.kubernetes.io/component=operator",
			"--force", "--grace-period=0")
		Eventually(leader).WithContext(ctx).ShouldNot(BeElementOf(old))
		report("a new leader, before the first report is stale", tenths(time.Until(stale)))
		Expect(time.Until(stale)).To(BeNumerically(">", 2*time.Second), "too late to see what it makes of the reports")

		for _, a := range apps {
			Eventually(a.rows).WithContext(ctx).Should(Equal(everyNode("Unknown " + v1alpha1.ReasonNoObserver)))
		}
		for _, write := range writes() {
			Expect(write.at).To(BeTemporally(">=", stale), write.String())
		}
		report("writes when the reports were stale", len(writes()))
	})

	It("and is found anew when the agents are back", func(ctx SpecContext) {
		for _, a := range apps {
			Eventually(a.rows).WithContext(ctx).Should(Equal(everyNode("Reachable")))
		}
	})
})

// operators returns the names of the operator's pods.
func operators(ctx context.Context) []string {
	GinkgoHelper()
	return strings.Fields(kubectl(ctx, "get", "pods", "--namespace", system,
		"--selector=app.kubernetes.io/component=operator", "--output=jsonpath={.items[*].metadata.name}"))
}

// rollOutAnew replaces the operator and the agents as a new version would.
func rollOutAnew(ctx context.Context) {
	GinkgoHelper()
	workloads := []string{"deployment/exposedapp-operator", "daemonset/exposedapp-agent"}
	kubectl(ctx, append([]string{"rollout", "restart", "--namespace", system}, workloads...)...)
	for _, workload := range workloads {
		kubectl(ctx, "rollout", "status", "--namespace", system, workload, "--timeout", rollout.String())
	}
}

// banishAgents takes the agents away from every node, until the end of the spec.
func banishAgents(ctx SpecContext) {
	GinkgoHelper()
	const label = "exposedapp.dev/e2e-nowhere"
	selectNodes := func(ctx SpecContext, value string) {
		GinkgoHelper()
		kubectl(ctx, "patch", "daemonset", "--namespace", system, "exposedapp-agent", "--type=merge",
			`--patch={"spec": {"template": {"spec": {"nodeSelector": {"`+label+`": `+value+`}}}}}`)
	}
	DeferCleanup(func(ctx SpecContext) {
		selectNodes(ctx, "null")
		kubectl(ctx, "rollout", "status", "--namespace", system, "daemonset/exposedapp-agent", "--timeout", rollout.String())
	})
	selectNodes(ctx, `"true"`)
	Eventually(func() (string, error) {
		return run(ctx, "kubectl", "get", "pods", "--namespace", system, "--selector=app.kubernetes.io/component=agent", "--output=name")
	}).WithContext(ctx).Should(BeEmpty())
}

// staleTime returns when a node's report is three heartbeats old.
func staleTime(ctx context.Context, n node) (time.Time, error) {
	object := &v1alpha1.NodeReachability{}
	if err := cluster.Get(ctx, client.ObjectKey{Name: n.name}, object); err != nil {
		return time.Time{}, err
	}
	renewed, err := renewTime(ctx, n)
	return renewed.Add(3 * time.Duration(object.Spec.HeartbeatSeconds) * time.Second), err
}

// write is a change of an object.
type write struct {
	at   time.Time
	what string
}

func (w write) String() string { return w.at.Format("15:04:05.000") + " " + w.what }

// writeLists are the kinds that a steady operator leaves alone.
func writeLists() []client.ObjectList {
	return []client.ObjectList{&v1alpha1.ExposedAppList{}, &appsv1.DeploymentList{}, &corev1.ServiceList{}}
}

// witnessWrites notes, from now on, every write to an ExposedApp, a Deployment or
// a Service in a namespace, as the API server tells it. It returns how to ask for
// them.
func witnessWrites(ctx SpecContext, namespace string) (noted func() []write) {
	GinkgoHelper()
	var mu sync.Mutex
	var notes []write
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, write{time.Now(), fmt.Sprintf(format, args...)})
	}
	done := make(chan struct{})
	stops := []func(){func() { close(done) }}
	DeferCleanup(func() {
		for _, stop := range stops {
			stop()
		}
	})
	for _, list := range writeLists() {
		Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		changes, err := cluster.Watch(ctx, list, client.InNamespace(namespace),
			&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}})
		Expect(err).NotTo(HaveOccurred())
		stops = append(stops, changes.Stop)
		go func() {
			for event := range changes.ResultChan() {
				object, err := meta.Accessor(event.Object)
				if err != nil {
					note("%s: %v", event.Type, event.Object)
					continue
				}
				note("%s %T %s", event.Type, event.Object, object.GetName())
			}
			select {
			case <-done:
			default:
				note("the watch of %T ended too early", list)
			}
		}()
	}
	return func() []write {
		mu.Lock()
		defer mu.Unlock()
		return append([]write(nil), notes...)
	}
}
