package topology_test

import (
	"context"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/topology"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestReconcileWritesOnlyWhatDiffers(t *testing.T) {
	g := NewWithT(t)
	var written []string
	k8s, rechecks := recordingClient(t, &written), requests{}
	reconciler := &topology.Reconciler{
		Client: k8s, Rechecks: rechecks, Reports: shown{k8s}, Writes: flowcontrol.NewFakeAlwaysRateLimiter(),
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
