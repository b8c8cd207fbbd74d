package nodereachability

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// TestListChanged: after what changes of a NodeReachability the ring is looked at.
func TestListChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.NodeReachability)
		want   bool
	}{
		"a report": {func(n *v1alpha1.NodeReachability) { n.Status.NodePorts = "31000" }, false},
		"a request to look again": {func(n *v1alpha1.NodeReachability) {
			n.Generation, n.Spec.Recheck = 2, &v1alpha1.Recheck{Round: 1}
		}, false},
		"a target": {func(n *v1alpha1.NodeReachability) {
			n.Generation, n.Spec.Targets = 2, nil
		}, true},
		"a target and a request": {func(n *v1alpha1.NodeReachability) {
			n.Generation, n.Spec.Targets, n.Spec.Recheck = 2, nil, &v1alpha1.Recheck{Round: 1}
		}, true},
		"the heartbeat": {func(n *v1alpha1.NodeReachability) {
			n.Generation, n.Spec.HeartbeatSeconds = 2, 20
		}, true},
		"that it is from outside": {func(n *v1alpha1.NodeReachability) {
			n.Labels = map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
		}, true},
		"another label":       {func(n *v1alpha1.NodeReachability) { n.Labels = map[string]string{"a": "b"} }, false},
		"another of its name": {func(n *v1alpha1.NodeReachability) { n.UID = "another" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := &v1alpha1.NodeReachability{Spec: v1alpha1.NodeReachabilitySpec{
				HeartbeatSeconds: 10, Targets: []v1alpha1.Target{{Node: "a", Addresses: []string{"10.0.0.1"}}},
			}}
			before.Name, before.UID, before.Generation = "a", "one", 1
			after := before.DeepCopy()
			c.change(after)
			NewWithT(t).Expect(listChanged(before, after)).To(Equal(c.want))
		})
	}

	one := &v1alpha1.NodeReachability{}
	g := NewWithT(t)
	g.Expect(listChanged(nil, one)).To(BeTrue(), "it was made")
	g.Expect(listChanged(one, nil)).To(BeTrue(), "it was deleted")
	g.Expect(listChanged(nil, nil)).To(BeFalse(), "reports became stale")
}

func TestOwnWrites(t *testing.T) {
	g := NewWithT(t)
	shown := func(version string) *v1alpha1.NodeReachability {
		return &v1alpha1.NodeReachability{ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: version}}
	}
	var own ownWrites
	written := v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 20}
	ofNode := wanted{name: "a", node: "owner", spec: written}
	own.applied(ofNode.written("10"))
	older := own.newest(shown("9"))
	g.Expect(older.Spec).To(Equal(written), "the feed does not show it yet")
	g.Expect(ofNode.owned(older)).To(BeTrue())
	ofOutsider := wanted{name: "a", object: "uid", spec: written}
	own.applied(ofOutsider.written("10"))
	older = own.newest(shown("9"))
	g.Expect(ofOutsider.owned(older)).To(BeTrue())
	g.Expect(older.Outside()).To(BeTrue())
	newer := shown("11")
	g.Expect(own.newest(newer)).To(BeIdenticalTo(newer), "somebody wrote after it")
	g.Expect(own.byName).To(BeEmpty())
}
