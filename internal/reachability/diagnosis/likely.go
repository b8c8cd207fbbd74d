// Package diagnosis puts into words what observers report of a node: who does not reach it
// and with which errors, what is likely behind that, and what to do next. It is pure.
package diagnosis

import (
	"fmt"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// Failure is an observer that does not reach a node, and what it reports.
type Failure struct {
	Observer string
	*protocol.Exception
}

// Case is a node that some observers, or all, do not reach.
type Case struct {
	Node   string
	Failed []Failure
	// Partial is whether others reach the node.
	Partial bool
	// Self is what the node's own observer reports: no proof, but a clue.
	Self protocol.Outcome
	// OtherPorts returns what an observer reports of the node's other node ports.
	OtherPorts func(observer string) protocol.Outcome
}

// theApp is behind a failure that a pod gives at its own address as well.
const theApp = "the app itself: its pod answers the same"

// Likely names what is behind a failure where the evidence of all observers points
// to it, and nothing where they disagree or it is missing: beyond the dials
// themselves, only what they leave no other explanation for is claimed.
//
// The evidence goes from the app to the node that does not answer: a pod at its own
// address, the cluster IP, the node's own report, kube-proxy's health port there,
// and other node ports.
func (c *Case) Likely() string {
	reason := c.shared(func(f Failure) string { return f.Reason })
	pod := c.shared(func(f Failure) string { return f.Evidence.Pod })
	clusterIP := c.shared(func(f Failure) string { return f.Evidence.ClusterIP })
	kubeProxy := c.shared(func(f Failure) string { return f.Evidence.KubeProxy })

	switch {
	case c.Partial && lost(reason) && lost(kubeProxy):
		return fmt.Sprintf("a firewall or a broken route between %s and %s", List(Observers(c.Failed)), c.Node)
	case c.Partial && lost(reason) && kubeProxy == v1alpha1.EvidenceReached:
		return fmt.Sprintf("a firewall between %s and %s that drops the port", List(Observers(c.Failed)), c.Node)
	case c.Partial:
		return ""
	case lost(reason) && lost(kubeProxy) && c.Self != protocol.Failed:
		return fmt.Sprintf("%s is down or cut off", c.Node)
	case reason != "" && reason == clusterIP && reason == pod:
		return theApp
	case clusterIP != v1alpha1.EvidenceReached:
		return "" // The app may be the cause as well as the node.
	case kubeProxy == v1alpha1.ReasonConnectionRefused && c.Self != protocol.Reached:
		return fmt.Sprintf("kube-proxy does not run on %s", c.Node)
	case kubeProxy == v1alpha1.ReasonHTTPStatus && c.Self != protocol.Reached:
		return fmt.Sprintf("kube-proxy on %s is behind, by its own word", c.Node)
	case kubeProxy != v1alpha1.EvidenceReached:
		return ""
	case c.Self == protocol.Reached && reason == v1alpha1.ReasonTimeout:
		return fmt.Sprintf("a firewall on %s drops the port", c.Node)
	case c.Self == protocol.Reached && reason == v1alpha1.ReasonConnectionRefused:
		return fmt.Sprintf("a firewall on %s rejects the port", c.Node)
	case reason == v1alpha1.ReasonConnectionRefused:
		return c.unserved()
	case reason == v1alpha1.ReasonHTTPStatus || reason == v1alpha1.ReasonProtocolError:
		return fmt.Sprintf("something else than the app answers on the port of %s", c.Node)
	}
	return ""
}

// unserved says why a healthy kube-proxy refuses a port.
func (c *Case) unserved() string {
	others := c.OtherPorts(c.Failed[0].Observer)
	for _, failure := range c.Failed {
		if c.OtherPorts(failure.Observer) != others {
			return ""
		}
	}
	switch others {
	case protocol.Reached:
		return fmt.Sprintf("kube-proxy on %s has not programmed the port", c.Node)
	case protocol.Failed:
		return fmt.Sprintf("kube-proxy on %s does not serve this address (nodePortAddresses)", c.Node)
	default:
		return fmt.Sprintf("kube-proxy on %s has not programmed the port, or does not serve this address", c.Node)
	}
}

// shared returns what all failures have in common, or nothing where they differ.
func (c *Case) shared(of func(Failure) string) string {
	first := of(c.Failed[0])
	for _, failure := range c.Failed {
		if of(failure) != first {
			return ""
		}
	}
	return first
}

// Observers returns who failed.
func Observers(failures []Failure) []string {
	observers := make([]string, 0, len(failures))
	for _, failure := range failures {
		observers = append(observers, failure.Observer)
	}
	return observers
}

// lost reports whether packets, rather than connections, fail.
func lost(reason string) bool {
	return reason == v1alpha1.ReasonTimeout || reason == v1alpha1.ReasonNoRoute
}
