package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

// fromOutside has an observer outside of the cluster dial two nodes on two ports, of
// which the first has a cluster IP and a ready pod.
func (b *bubble) fromOutside() (*v1alpha1.NodeReachability, assignmentStore) {
	b.loop.post(func(time.Duration) { b.loop.leaveNodes("office") })
	services := onPorts(30000, 30001)
	services[0].ClusterIPs[0] = netip.MustParseAddrPort(clusterIP)
	b.list("8", services...)
	b.g.Expect(endpointStore(b.loop).Update(gen.DialledSlice())).To(Succeed())
	store, office := newAssignmentStore(b.loop), &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{
			Name: "office", Labels: map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}, Generation: 1,
		},
		Spec: v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10, Targets: []v1alpha1.Target{
			{Node: "a", Addresses: []string{"10.0.0.1"}}, {Node: "b", Addresses: []string{"10.0.0.2"}},
		}},
	}
	b.g.Expect(store.Update(office)).To(Succeed())
	b.wait(12 * time.Second)
	b.g.Expect(b.last()).To(Satisfy(clean))
	return office, store
}

// TestOutsideDialsNodePortsAlone: pods, cluster IPs and proxies are out of its reach, and
// on another network the same addresses are somebody else's.
func TestOutsideDialsNodePortsAlone(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.fromOutside()
		b.make(one, behaviour{result: refused()})
		b.until(fails)
		b.wait(time.Minute)
		b.g.Expect(b.dialledPaths()).To(BeZero())
		b.g.Expect(b.last().Failures).To(ConsistOf(And(
			HaveField("NodePorts", "30000"), HaveField("Addresses", Equal([]string{"10.0.0.1"})),
			HaveField("Evidence", BeNil()))))
	})
}

// TestOutsideCutOff: where every node is another's, one that is cut off calls none reached.
func TestOutsideCutOff(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.fromOutside()
		b.makeAll(2, 2, behaviour{after: time.Hour})
		b.g.Expect(b.until(func(s v1alpha1.NodeReachabilityStatus) bool { return !clean(s) })).
			To(BeNumerically("<=", 8*time.Second))
		for i := range 2 {
			b.g.Expect(saysReached(b.last(), fmt.Sprintf("10.0.0.%d", i+1))).To(BeZero())
		}
		b.makeAll(2, 2, behaviour{})
		b.until(clean)
	})
}

// TestOutsideReportsToItsOwnObjectOnly: what lacks the label, is a Node's or is not there
// has no report, and the log tells what to do.
func TestOutsideReportsToItsOwnObjectOnly(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*v1alpha1.NodeReachability) bool
		told  string
	}{
		"without the label": {func(n *v1alpha1.NodeReachability) bool { n.Labels = nil; return true },
			"kubectl label nodereachability office exposedapp.dev/vantage=outside"},
		"a Node's": {func(n *v1alpha1.NodeReachability) bool {
			n.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "office", UID: "1"}}
			return true
		}, "is that of the Node of its name"},
		"gone": {func(*v1alpha1.NodeReachability) bool { return false }, "there is no NodeReachability office"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(_ *testing.T, b *bubble) {
				office, store := b.fromOutside()
				spoilt := office.DeepCopy()
				if c.spoil(spoilt) {
					b.g.Expect(store.Update(spoilt)).To(Succeed())
					b.g.Expect(store.Update(spoilt)).To(Succeed())
				} else {
					b.g.Expect(store.Replace(nil, "9")).To(Succeed())
				}
				b.wait(10 * time.Second)
				dials, writes := b.dialled(one), b.attempted()
				b.wait(time.Minute)
				b.g.Expect(b.dialled(one)).To(Equal(dials))
				b.g.Expect(b.attempted()).To(Equal(writes))
				b.g.Expect(b.logs).To(ConsistOf(ContainSubstring(c.told)), "once")

				b.g.Expect(store.Update(office)).To(Succeed())
				b.wait(20 * time.Second)
				b.g.Expect(b.attempted()).To(BeNumerically(">", writes), "it is as it should be again")
			})
		})
	}
}

func TestOutsideAdvice(t *testing.T) {
	resource := schema.GroupResource{Group: "exposedapp.dev", Resource: "nodereachabilities"}
	for name, c := range map[string]struct {
		answer error
		want   string
	}{
		"no object":   {apierrors.NewNotFound(resource, "office"), "an admin makes it, with the label exposedapp.dev/vantage=outside"},
		"no right":    {apierrors.NewForbidden(resource, "office", errors.New("no")), "should be the ServiceAccount office"},
		"old token":   {apierrors.NewUnauthorized("no"), "kubectl create token office --namespace=exposedapp-system"},
		"other error": {errors.New("dial tcp: refused"), "dial tcp: refused"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			told := advise("office", c.answer)
			g.Expect(told).To(MatchError(ContainSubstring(c.want)))
			g.Expect(told).To(MatchError(ContainSubstring(c.answer.Error())), "with what the API server said")
			g.Expect(errors.Is(told, c.answer)).To(BeTrue())
		})
	}
}
