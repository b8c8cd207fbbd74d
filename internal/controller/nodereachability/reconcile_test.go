package nodereachability_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestReconcileWritesOnlyWhatDiffers(t *testing.T) {
	g := NewWithT(t)
	var written []string
	k8s, rechecks := recordingClient(t, &written), requests{}
	reconciler := &nodereachability.Reconciler{
		Client: k8s, Rechecks: rechecks, Reports: shown{k8s}, Writes: flowcontrol.NewFakeAlwaysRateLimiter(),
		Clock: clock.RealClock{},
	}
	request := reconcile.Request{NamespacedName: types.NamespacedName{Name: "ring"}}
	run := func() []string {
		written = nil
		_, err := reconciler.Reconcile(t.Context(), request)
		g.Expect(err).NotTo(HaveOccurred())
		return written
	}
	addNode := func(name, address string, uid types.UID) *corev1.Node {
		node := gen.Node(name, address)
		node.UID = uid
		g.Expect(k8s.Create(t.Context(), node)).To(Succeed())
		return node
	}
	report := func(name string) *v1alpha1.NodeReachability {
		report := &v1alpha1.NodeReachability{}
		g.Expect(k8s.Get(t.Context(), client.ObjectKey{Name: name}, report)).To(Succeed())
		return report
	}

	first := addNode("a", "10.0.0.1", "uid-a")
	addNode("b", "10.0.0.2", "uid-b")
	g.Expect(run()).To(ConsistOf("a", "b"))
	g.Expect(report("a").Spec.Targets).To(Equal([]v1alpha1.Target{
		{Node: "a", Addresses: []string{"10.0.0.1"}}, {Node: "b", Addresses: []string{"10.0.0.2"}, Turn: 1},
	}))
	g.Expect(report("a").OwnerReferences).To(ConsistOf(SatisfyAll(
		HaveField("Kind", "Node"), HaveField("Name", "a"), HaveField("UID", first.UID))))
	g.Expect(run()).To(BeEmpty(), "nothing changed")

	asked := v1alpha1.Recheck{Round: 7, NodePorts: "31000", Addresses: []string{"10.0.0.2"}}
	rechecks["a"] = asked
	g.Expect(run()).To(ConsistOf("a"), "an observer is to look again")
	g.Expect(report("a").Spec.Recheck).To(HaveValue(Equal(asked)))
	g.Expect(report("a").Spec.Targets).To(HaveLen(2))
	g.Expect(run()).To(BeEmpty(), "it was asked already")
	delete(rechecks, "a")
	g.Expect(run()).To(BeEmpty(), "to take it back changes nothing")

	request.Name = "rechecks"
	rechecks["b"], rechecks["gone"] = asked, asked
	g.Expect(run()).To(ConsistOf("b"), "alone, without the ring")
	g.Expect(report("b").Spec).To(And(
		HaveField("Recheck", HaveValue(Equal(asked))), HaveField("Targets", HaveLen(2)), HaveField("HeartbeatSeconds", BeNumerically("==", 10))))
	g.Expect(report("b").OwnerReferences).To(HaveLen(1))
	g.Expect(run()).To(BeEmpty(), "it was asked already")
	request.Name = "ring"

	tampered := report("b")
	tampered.Spec.Targets = nil
	g.Expect(k8s.Update(t.Context(), tampered)).To(Succeed())
	g.Expect(run()).To(ConsistOf("b"), "somebody changed a list")
	g.Expect(report("b").Spec.Targets).To(HaveLen(2))

	addNode("c", "10.0.0.3", "uid-c")
	g.Expect(run()).To(ConsistOf("a", "b", "c"), "a node came")

	g.Expect(k8s.Delete(t.Context(), first)).To(Succeed())
	addNode("a", "10.0.0.1", "uid-d")
	g.Expect(run()).To(ConsistOf("a"), "another node took the name")
	g.Expect(report("a").OwnerReferences).To(ConsistOf(HaveField("UID", types.UID("uid-d"))))
	g.Expect(run()).To(BeEmpty())
}

// TestReconcileOutside: what an admin made and labelled is given the nodes to dial, and
// is nobody else's.
func TestReconcileOutside(t *testing.T) {
	g := NewWithT(t)
	var written []string
	k8s, rechecks, now := recordingClient(t, &written), requests{}, clocktesting.NewFakePassiveClock(noon)
	reconciler := &nodereachability.Reconciler{
		Client: k8s, Rechecks: rechecks, Reports: shown{k8s}, Writes: flowcontrol.NewFakeAlwaysRateLimiter(), Clock: now,
	}
	run := func(name string) (reconcile.Result, []string) {
		written = nil
		result, err := reconciler.Reconcile(t.Context(),
			reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
		g.Expect(err).NotTo(HaveOccurred())
		return result, written
	}
	report := func(name string) *v1alpha1.NodeReachability {
		report := &v1alpha1.NodeReachability{}
		g.Expect(k8s.Get(t.Context(), client.ObjectKey{Name: name}, report)).To(Succeed())
		return report
	}
	addNode := func(name, address string) {
		node := gen.Node(name, address)
		node.UID = types.UID("uid-" + name)
		g.Expect(k8s.Create(t.Context(), node)).To(Succeed())
	}
	add := func(name string, labels map[string]string) {
		object := &v1alpha1.NodeReachability{}
		object.Name, object.UID, object.Labels = name, types.UID("uid-"+name), labels
		g.Expect(k8s.Create(t.Context(), object)).To(Succeed())
	}
	label := map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}

	addNode("a", "10.0.0.1")
	addNode("b", "10.0.0.2")
	add("office", label)
	add("orphan", nil)
	result, wrote := run("ring")
	g.Expect(result).To(BeZero(), "all nodes are dialled all the time")
	g.Expect(wrote).To(ConsistOf("a", "b", "office"), "not what has neither a Node nor the label")
	g.Expect(report("office")).To(And(
		HaveField("Spec.Targets", HaveExactElements(HaveField("Node", "a"), HaveField("Node", "b"))),
		HaveField("OwnerReferences", BeEmpty()), HaveField("Labels", Equal(label))))
	g.Expect(report("a").Spec.Targets).To(HaveExactElements(
		And(HaveField("Node", "a"), HaveField("Turn", BeZero())),
		And(HaveField("Node", "b"), HaveField("Turn", BeEquivalentTo(1)))), "as if there was no observer outside")
	_, wrote = run("ring")
	g.Expect(wrote).To(BeEmpty(), "nothing changed")

	asked := v1alpha1.Recheck{Round: 7, NodePorts: "31000", Addresses: []string{"10.0.0.2"}}
	rechecks["office"], rechecks["orphan"] = asked, asked
	_, wrote = run("rechecks")
	g.Expect(wrote).To(ConsistOf("office"))
	g.Expect(report("office")).To(And(HaveField("Spec.Recheck", HaveValue(Equal(asked))),
		HaveField("Spec.Targets", HaveLen(2)), HaveField("OwnerReferences", BeEmpty())))
	clear(rechecks)
	_, wrote = run("ring")
	g.Expect(wrote).To(BeEmpty(), "to take it back changes nothing")

	addNode("office", "10.0.0.3")
	_, wrote = run("ring")
	g.Expect(wrote).To(ConsistOf("a", "b", "office"), "a Node of its name came: it is that Node's")
	g.Expect(report("office").OwnerReferences).To(ConsistOf(HaveField("UID", types.UID("uid-office"))))
	g.Expect(report("office").Outside()).To(BeFalse())
	g.Expect(report("office").Spec.Targets).To(ContainElement(
		And(HaveField("Node", "office"), HaveField("Turn", BeZero()))), "which dials itself as all others")
	_, wrote = run("ring")
	g.Expect(wrote).To(BeEmpty(), "the label makes no difference any more")
}

// TestReconcileOutsideInTurns: on a cluster of more nodes than one observer dials, it
// is given others by the clock, and nothing is written meanwhile.
func TestReconcileOutsideInTurns(t *testing.T) {
	g := NewWithT(t)
	var written []string
	k8s, now := recordingClient(t, &written), clocktesting.NewFakePassiveClock(noon.Add(time.Minute))
	for i, name := range names("node-%d", 70) {
		g.Expect(k8s.Create(t.Context(), gen.Node(name, fmt.Sprintf("10.0.0.%d", i+1)))).To(Succeed())
	}
	office := &v1alpha1.NodeReachability{}
	office.Name, office.UID, office.Labels = "office", "uid", map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
	g.Expect(k8s.Create(t.Context(), office)).To(Succeed())
	// Each time it is another operator.
	run := func() time.Duration {
		written = nil
		result, err := (&nodereachability.Reconciler{
			Client: k8s, Rechecks: requests{}, Reports: shown{k8s}, Writes: flowcontrol.NewFakeAlwaysRateLimiter(), Clock: now,
		}).Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "ring"}})
		g.Expect(err).NotTo(HaveOccurred())
		return result.RequeueAfter
	}

	g.Expect(run()).To(Equal(4*time.Minute), "when the next nodes have their turn")
	g.Expect(written).To(HaveLen(71))
	now.SetTime(noon.Add(5*time.Minute - time.Second))
	g.Expect(run()).To(Equal(time.Second))
	g.Expect(written).To(BeEmpty())
	now.SetTime(noon.Add(5 * time.Minute))
	g.Expect(run()).To(Equal(5 * time.Minute))
	g.Expect(written).To(ConsistOf("office"))
}

// recordingClient returns a client that notes the names of what is applied.
func recordingClient(t *testing.T, written *[]string) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	g := NewWithT(t)
	g.Expect(corev1.AddToScheme(scheme)).To(Succeed())
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	var mu sync.Mutex
	return fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Apply: func(ctx context.Context, under client.WithWatch, object runtime.ApplyConfiguration,
			options ...client.ApplyOption) error {
			if named, ok := object.(interface{ GetName() *string }); ok {
				mu.Lock()
				*written = append(*written, *named.GetName())
				mu.Unlock()
			}
			return under.Apply(ctx, object, append(options, client.FieldOwner(v1alpha1.OperatorName))...)
		},
	}).Build()
}

// requests are what observers are to look at again.
type requests map[string]v1alpha1.Recheck

func (requests) Requested() <-chan struct{} { return nil }

func (r requests) Requests() map[string]v1alpha1.Recheck { return r }

// shown are the NodeReachabilities that a client has.
type shown struct{ client.Client }

func (s shown) Reports() []*reachability.Report {
	var list v1alpha1.NodeReachabilityList
	if err := s.List(context.Background(), &list); err != nil {
		panic(err)
	}
	reports := make([]*reachability.Report, 0, len(list.Items))
	for i := range list.Items {
		reports = append(reports, reachability.Read(&list.Items[i]))
	}
	return reports
}

func (s shown) ReportOf(name string) *reachability.Report {
	var object v1alpha1.NodeReachability
	if err := s.Get(context.Background(), client.ObjectKey{Name: name}, &object); err != nil {
		return nil
	}
	return reachability.Read(&object)
}
