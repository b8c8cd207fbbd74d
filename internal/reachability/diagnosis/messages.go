package diagnosis

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// What is said of a node, with the way out.
const (
	NoReadyEndpoints = "no pod of the app is ready: see the app's pods and their readiness probe"

	NotServed = "the port answers, but no pod of the app is there that could: " +
		"look for what else listens on it, such as a pod with that hostPort"

	UnexpectedAnswer = "externalTrafficPolicy is Local and no pod of the app is on the node, yet it answers: " +
		"something else listens on the port, or the policy is not enforced"

	// OrTranslated is added to UnexpectedAnswer where nothing rules it out.
	OrTranslated = ", or the observers' dials are translated at tc (Calico eBPF)"

	NoObserver = "no other node has a fresh report about this one: " +
		"see the agents, kubectl get pods --namespace exposedapp-system --output wide"

	Waiting = "waiting for the first word of the observers"

	ReachableFromSelfOnly = "the only node of the cluster answers itself; nobody else can confirm it"

	socketBalancer = ": a socket load balancer on the observer (Cilium, Calico eBPF)"

	wayToProof = "way out: the raw-probe component or an observer outside"

	nextForApp = "check the app's logs, and spec.probe.path"
)

// NotExpected says why a node is not expected to answer in an IP family.
func NotExpected(reason string, family corev1.IPFamily) string {
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

// SetAside names the observers whose results do not count.
func SetAside(observers []string) string {
	return "set aside: " + List(observers) + ", which reaches no other node while others do: see its network"
}

// OutsideSetAside names the observers outside of the cluster whose results do not count.
func OutsideSetAside(observers []string) string {
	return "set aside: " + List(observers) + ", outside of the cluster, which reaches no node: see its network"
}

// Unreachable says who does not reach a node, which others, confirmed, may, what is likely
// behind it, if anything, and what to do next.
func (c *Case) Unreachable(reason string, confirmed []string, likely string) string {
	parts := []string{"not from " + Blame(c.Failed)}
	if len(confirmed) > 0 {
		parts[0] = fmt.Sprintf("reached from %s, but %s", List(confirmed), parts[0])
	}
	next := nextStep(reason, c.Node)
	if likely != "" {
		parts = append(parts, "likely "+likely)
	}
	if likely == theApp {
		next = nextForApp
	}
	return andThen(strings.Join(parts, "; "), next)
}

// UnreachableFromOutside says who outside of the cluster does not reach a node, where that
// is all that counts.
func (c *Case) UnreachableFromOutside(reason string) string {
	return andThen("not from "+Blame(c.Failed)+", outside of the cluster", nextStep(reason, c.Node))
}

// OutsideUnreachable says that a node answers in the cluster and not outside.
func (c *Case) OutsideUnreachable(reached []string) string {
	return fmt.Sprintf("reached from %s, but not from %s, outside of the cluster; check the firewall in front of %s",
		List(reached), Blame(c.Failed), c.Node)
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

// Translated says where the dials went that were meant for a node's port, by one observer,
// and what could tell more. isolated are the observers outside that reach no node.
func Translated(dials []Failure, port netip.AddrPort, isolated []string) string {
	witness := dials[max(0, slices.IndexFunc(dials, func(f Failure) bool { return f.Message != "" }))]
	next := wayToProof
	if len(isolated) > 0 {
		next = OutsideSetAside(isolated)
	}
	elsewhere := cmp.Or(witness.Message, "different places")
	rest := andThen("'s dial of "+port.String()+" went to "+elsewhere+socketBalancer, next)
	return shortened(witness.Observer, maxNote-len(rest)) + rest
}

// OwnAddress says whose own hosts have the address of a node as well.
func OwnAddress(address string, hosts []string) string {
	return address + " is an address of these hosts as well, whose dials thus never leave them: " + List(hosts) +
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

// Blame names the observers that failed and the raw errors of their dials.
func Blame(failures []Failure) string {
	byError := make(map[string][]string)
	var order []string
	for _, failure := range failures {
		text := failure.Reason + ": " + failure.Message
		if byError[text] == nil {
			order = append(order, text)
		}
		byError[text] = append(byError[text], failure.Observer)
	}
	slices.Sort(order)
	parts := make([]string, 0, len(order))
	for _, text := range order {
		parts = append(parts, fmt.Sprintf("%s (%s)", List(byError[text]), text))
	}
	return strings.Join(parts, "; ")
}

// List names at most three observers.
func List(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
