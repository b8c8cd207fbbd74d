package reachability

import (
	"cmp"

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

	orTranslated = ", or the observers' dials are translated at tc (Calico eBPF)"

	noObserver = "no other node has a fresh report about this one: " +
		"see the agents, kubectl get pods --namespace exposedapp-system --output wide"

	reachableFromSelfOnly = "the only node of the cluster answers itself; nobody else can confirm it"

	socketBalancer = ": a socket load balancer on the observer (Cilium, Calico eBPF)"

	wayToProof = "way out: the raw-probe component or an observer outside"

	nextForApp = "check the app's logs, and spec.probe.path"
)

// excused tells why a node is not expected to answer in an IP family.
func excused(reason string, family corev1.IPFamily) string {
	switch reason {
	case v1alpha1.ReasonNodeExcluded:
		return "left out by its labels: see spec.expectedNodes, and the operator's --expected-nodes"
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

// andThen adds what to do next, if there is anything.
func andThen(text, next string) string {
	if next == "" {
		return text
	}
	return text + "; " + next
}

// maxNote bounds what is said of a node, in bytes.
const maxNote = 256

// translation tells where the dials went that were meant for a node, by the word of one
// observer, and what could tell more.
func (t *testimony) translation() string {
	witness := &t.translated[0]
	for i := range t.translated {
		if t.translated[i].Message != "" {
			witness = &t.translated[i]
			break
		}
	}
	next := wayToProof
	if len(t.outside.isolated) > 0 {
		next = forsaken(t.outside.isolated)
	}
	elsewhere := cmp.Or(witness.Message, "different places")
	rest := andThen("'s dial of "+t.dialled.String()+" went to "+elsewhere+socketBalancer, next)
	return shortened(witness.by.name, maxNote-len(rest)) + rest
}

// hosted tells whose own hosts have the address of a node as well.
func (t *testimony) hosted() string {
	return t.address + " is an address of these hosts as well, whose dials thus never leave them: " + list(t.hosts) +
		"; give the Node an address of its own"
}

// shortened returns a name in so many bytes, of which some are left in any case. A
// Node's name is of ASCII alone.
func shortened(name string, limit int) string {
	const mark = "…"
	if limit = max(limit, 16); len(name) <= limit {
		return name
	}
	return name[:limit-len(mark)] + mark
}
