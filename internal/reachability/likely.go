package reachability

import (
	"fmt"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// theApp is behind a failure that a pod gives at its own address as well.
const theApp = "the app itself: its pod answers the same"

// likely names what is behind a failure where the steps of all observers point
// to it, and nothing where they disagree or are missing: beyond the dials
// themselves, only what they leave no other explanation for is claimed.
//
// The steps go from the app to the node that does not answer: a pod at its own
// address, the cluster IP, the node's own word, kube-proxy's health port there,
// and other node ports.
func (t *testimony) likely(node string) string {
	reason := t.shared(func(s statement) string { return s.Reason })
	pod := t.shared(func(s statement) string { return s.Evidence.Pod })
	clusterIP := t.shared(func(s statement) string { return s.Evidence.ClusterIP })
	kubeProxy := t.shared(func(s statement) string { return s.Evidence.KubeProxy })
	observers := make([]string, 0, len(t.failed))
	for _, failure := range t.failed {
		observers = append(observers, failure.by.name)
	}

	switch {
	case t.fresh > 0, len(t.reached) > 0 && !t.sure:
		return "" // It is not settled yet what holds together.
	case len(t.reached) > 0 && lost(reason) && lost(kubeProxy):
		return fmt.Sprintf("a firewall or a broken route between %s and %s", list(observers), node)
	case len(t.reached) > 0 && lost(reason) && kubeProxy == v1alpha1.EvidenceReached:
		return fmt.Sprintf("a firewall between %s and %s that drops the port", list(observers), node)
	case len(t.reached) > 0:
		return ""
	case lost(reason) && lost(kubeProxy) && t.itself != protocol.Failed:
		return fmt.Sprintf("%s is down or cut off", node)
	case reason != "" && reason == clusterIP && reason == pod:
		return theApp
	case clusterIP != v1alpha1.EvidenceReached:
		return "" // The app may be the cause as well as the node.
	case kubeProxy == v1alpha1.ReasonConnectionRefused && t.itself != protocol.Reached:
		return fmt.Sprintf("kube-proxy does not run on %s", node)
	case kubeProxy == v1alpha1.ReasonHTTPStatus && t.itself != protocol.Reached:
		return fmt.Sprintf("kube-proxy on %s is behind, by its own word", node)
	case kubeProxy != v1alpha1.EvidenceReached:
		return ""
	case t.itself == protocol.Reached && reason == v1alpha1.ReasonTimeout:
		return fmt.Sprintf("a firewall on %s drops the port", node)
	case t.itself == protocol.Reached && reason == v1alpha1.ReasonConnectionRefused:
		return fmt.Sprintf("a firewall on %s rejects the port", node)
	case reason == v1alpha1.ReasonConnectionRefused:
		return t.unserved(node)
	case reason == v1alpha1.ReasonHTTPStatus || reason == v1alpha1.ReasonProtocolError:
		return fmt.Sprintf("something else than the app answers on the port of %s", node)
	}
	return ""
}

// unserved tells why a healthy kube-proxy refuses a port.
func (t *testimony) unserved(node string) string {
	others := t.others(t.failed[0].by.name)
	for _, failure := range t.failed {
		if t.others(failure.by.name) != others {
			return ""
		}
	}
	switch others {
	case protocol.Reached:
		return fmt.Sprintf("kube-proxy on %s has not programmed the port", node)
	case protocol.Failed:
		return fmt.Sprintf("kube-proxy on %s does not serve this address (nodePortAddresses)", node)
	default:
		return fmt.Sprintf("kube-proxy on %s has not programmed the port, or does not serve this address", node)
	}
}

// shared returns what a step gave all observers that failed, or nothing where
// it gave them different things.
func (t *testimony) shared(step func(statement) string) string {
	first := step(t.failed[0])
	for _, failure := range t.failed {
		if step(failure) != first {
			return ""
		}
	}
	return first
}

// lost tells whether packets, rather than connections, fail.
func lost(reason string) bool {
	return reason == v1alpha1.ReasonTimeout || reason == v1alpha1.ReasonNoRoute
}
