package gen

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// Reachable is a verdict on a node that answers.
func Reachable(node string) v1alpha1.NodeVerdict {
	return v1alpha1.NodeVerdict{
		Node: node, Family: corev1.IPv4Protocol, Expected: true, State: v1alpha1.NodeReachable, Observers: "2/2",
	}
}

// Unreachable is a verdict on a node that does not answer.
func Unreachable(node string) v1alpha1.NodeVerdict {
	verdict := Reachable(node)
	verdict.State, verdict.Observers = v1alpha1.NodeUnreachable, "0/2"
	verdict.Reason, verdict.Message = "Timeout", "b, c (Timeout: i/o timeout)"
	return verdict
}

// Unknown is a verdict on a node that is not known to answer.
func Unknown(node, reason string) v1alpha1.NodeVerdict {
	verdict := Reachable(node)
	verdict.State, verdict.Observers = v1alpha1.NodeUnknown, ""
	verdict.Reason, verdict.Message = reason, "nobody tells"
	return verdict
}

// Excused is a verdict on a node that is not expected to answer.
func Excused(verdict v1alpha1.NodeVerdict) v1alpha1.NodeVerdict {
	verdict.Expected, verdict.Reason, verdict.Message = false, "NodeNotReady", "the Node is not Ready"
	return verdict
}
