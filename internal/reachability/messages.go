package reachability

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// What is said of a node, with the way out.
const (
	noReadyEndpoints = "no pod of the app is ready: see the app's pods and their readiness probe"

	notServed = "the port answers, but no pod of the app is there that could: " +
		"look for what else listens on it, such as a pod with that hostPort"

	unexpectedAnswer = "externalTrafficPolicy is Local and no pod of the app is on the node, yet it answers: " +
		"something else listens on the port, or the policy is not enforced"

	noObserver = "no other node has a fresh report about this one: " +
		"see the agents, kubectl get pods --namespace exposedapp-system --output wide"

	reachableFromSelfOnly = "the only node of the cluster answers itself; nobody else can confirm it"

	nextForApp = "check the app's logs, and spec.probe.path"
)

// excused tells why a node is not expected to answer in an IP family.
func excused(reason string, family corev1.IPFamily) string {
	switch reason {
	case v1alpha1.ReasonNodeDeleting:
		return "the Node is being deleted"
	case v1alpha1.ReasonNodeNotReady:
		return "the Node is not Ready: see kubectl describe node"
	case v1alpha1.ReasonNoAddress:
		return "the Node has no usable " + string(family) + " address: see its status.addresses"
	default:
		return "externalTrafficPolicy is Local and no ready pod of the app is on the node: " +
			"it would answer with a pod there, or under Cluster"
	}
}

// setAside names the observers whose word does not count.
func setAside(observers []string) string {
	return "set aside: " + list(observers) + ", which reaches no other node while others do: see its network"
}

// nextStep returns what to do about a failure.
func nextStep(reason, node string) string {
	switch reason {
	case v1alpha1.ReasonConnectionRefused:
		return "check kube-proxy on " + node
	case v1alpha1.ReasonTimeout:
		return "check that " + node + " is up and no firewall is in the way"
	case v1alpha1.ReasonNoRoute:
		return "check the routes to " + node
	case v1alpha1.ReasonPartiallyReachable:
		return "check what is between these nodes"
	case v1alpha1.ReasonHTTPStatus, v1alpha1.ReasonConnectionReset:
		return nextForApp
	case v1alpha1.ReasonProtocolError:
		return "check that the app speaks HTTP on spec.app.containerPort"
	}
	return ""
}
