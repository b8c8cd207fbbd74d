package gen

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// Node returns a Ready Node with the addresses as its InternalIPs.
func Node(name string, addresses ...string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, address := range addresses {
		node.Status.Addresses = append(node.Status.Addresses,
			corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address})
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	return node
}

// NodeReachability returns the NodeReachability of a node, by default without a
// report.
func NodeReachability(node string, changes ...func(*v1alpha1.NodeReachability)) *v1alpha1.NodeReachability {
	reachability := &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: node},
		Spec:       v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10},
	}
	for _, change := range changes {
		change(reachability)
	}
	return reachability
}

// WithTarget adds a node to dial.
func WithTarget(node string, addresses ...string) func(*v1alpha1.NodeReachability) {
	return func(r *v1alpha1.NodeReachability) {
		r.Spec.Targets = append(r.Spec.Targets, v1alpha1.Target{Node: node, Addresses: addresses})
	}
}

// WithReport makes the node report that nodePorts, as ranges, answer on every
// one of addresses, for the Services at a resourceVersion.
func WithReport(
	renewed time.Time, resourceVersion, nodePorts string, addresses ...string,
) func(*v1alpha1.NodeReachability) {
	return func(r *v1alpha1.NodeReachability) {
		r.Status.RenewTime = new(metav1.NewMicroTime(renewed))
		r.Status.ServicesResourceVersion = resourceVersion
		r.Status.NodePorts, r.Status.Addresses = nodePorts, addresses
	}
}

// WithFailure makes the node report that nodePorts fail on addresses. It follows
// WithReport, which names the addresses that were dialled.
func WithFailure(reason, message, nodePorts string, addresses ...string) func(*v1alpha1.NodeReachability) {
	return func(r *v1alpha1.NodeReachability) {
		r.Status.Failures = append(r.Status.Failures, v1alpha1.ProbeFailure{
			Reason: reason, Message: message, NodePorts: nodePorts, Addresses: addresses,
		})
	}
}

// WithPending makes the node report that nodePorts have no result on addresses.
func WithPending(nodePorts string, addresses ...string) func(*v1alpha1.NodeReachability) {
	return func(r *v1alpha1.NodeReachability) {
		r.Status.Pending = append(r.Status.Pending, v1alpha1.PendingProbes{NodePorts: nodePorts, Addresses: addresses})
	}
}
