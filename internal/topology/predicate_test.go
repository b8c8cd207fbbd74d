package topology

import (
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/event"

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
		"another of its name": {func(n *v1alpha1.NodeReachability) { n.UID = "another" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := &v1alpha1.NodeReachability{Spec: v1alpha1.NodeReachabilitySpec{
				HeartbeatSeconds: 10, Targets: []v1alpha1.Target{{Node: "a", Addresses: []string{"10.0.0.1"}}},
			}}
			before.Name, before.UID, before.Generation = "a", "one", 1
			after := before.DeepCopy()
			c.change(after)
			NewWithT(t).Expect(listChanged().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})).To(Equal(c.want))
		})
	}
}
