package appstatus

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// maxNodeEvents bounds the Events about single nodes that one change of the
// status brings. One more sums up the rest.
const maxNodeEvents = 5

// Transition is a change of an ExposedApp, as an Event shows it.
type Transition struct {
	// Node is the name of the Node that it is about, empty for the app alone.
	Node string

	// Kind is the type of the Event, Normal or Warning.
	Kind string

	// Reason is that of a condition or of a row, and Action which of them it is
	// about. Events of one object that agree in type, reason, action and node are
	// counted on the first of them, and their notes are lost.
	Reason, Action string

	Note string
}

// Transitions returns what changed from one status to the next.
func Transitions(before, after *v1alpha1.ExposedAppStatus) []Transition {
	return append(conditionTransitions(before, after), nodeTransitions(before, after)...)
}

// conditionTransitions returns the conditions that changed their status or
// reason, each under its own reason. The end of Reconciling or Stalled has none: the
// condition that changed with it says why. Conditions that were not True and still are not
// emit nothing while the app is progressing.
func conditionTransitions(before, after *v1alpha1.ExposedAppStatus) []Transition {
	progressing := isProgressing(after)
	var told []Transition
	for _, condition := range after.Conditions {
		old := meta.FindStatusCondition(before.Conditions, condition.Type)
		if old != nil && old.Status == condition.Status && old.Reason == condition.Reason {
			continue
		}
		had := old != nil && old.Status == metav1.ConditionTrue
		if progressing && !had && (condition.Status != metav1.ConditionTrue || len(before.Conditions) == 0 &&
			condition.Type == v1alpha1.ConditionReconciling) {
			continue
		}
		kind := corev1.EventTypeNormal
		if condition.Type == v1alpha1.ConditionStalled || condition.Status == metav1.ConditionFalse {
			kind = corev1.EventTypeWarning
		}
		told = append(told, Transition{
			Kind: kind, Reason: condition.Reason, Action: condition.Type, Note: condition.Message,
		})
	}
	return told
}

// isProgressing reports whether an app waits for nothing but its own rollout.
func isProgressing(status *v1alpha1.ExposedAppStatus) bool {
	reconciling := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReconciling)
	return reconciling != nil && reconciling.Status == metav1.ConditionTrue &&
		(reconciling.Reason == v1alpha1.ReasonPending || reconciling.Reason == v1alpha1.ReasonRolloutInProgress)
}

// nodeTransitions returns the expected nodes that no longer answer, or do not
// from the start, and those that answer again. A first answer is no transition.
// Nor is a node that became Unknown or is no longer expected: whether it answers
// is not known to have changed. A node that answers again where the status has no
// room for it is counted by the summary alone.
func nodeTransitions(before, after *v1alpha1.ExposedAppStatus) []Transition {
	type key struct {
		node   string
		family corev1.IPFamily
	}
	old := make(map[key]*v1alpha1.NodeVerdict, len(before.Nodes))
	for i := range before.Nodes {
		old[key{before.Nodes[i].Node, before.Nodes[i].Family}] = &before.Nodes[i]
	}
	var down, up []Transition
	for i := range after.Nodes {
		row := &after.Nodes[i]
		was, listed := old[key{row.Node, row.Family}]
		failed := listed && failing(was)
		switch {
		case failing(row) && !failed && (listed || !overfull(before)):
			down = append(down, rowTransition(row, corev1.EventTypeWarning, "does not answer"))
		case failed && row.Expected && row.State == v1alpha1.NodeReachable:
			up = append(up, rowTransition(row, corev1.EventTypeNormal, "answers again"))
		}
	}
	return summed(down, up, after.Reachability)
}

// failing reports whether a node is at fault. Where no pod is ready no node can
// answer, and the Event of the condition says so once for all of them.
func failing(row *v1alpha1.NodeVerdict) bool {
	return row.Expected && row.State == v1alpha1.NodeUnreachable && row.Reason != v1alpha1.ReasonNoReadyEndpoints
}

// overfull reports whether rows of unreachable nodes may be missing in a status:
// they come first, so only where there is room for nothing else.
func overfull(status *v1alpha1.ExposedAppStatus) bool {
	unreachable := count(status.Nodes, v1alpha1.NodeUnreachable)
	all := status.Reachability
	return all != nil && int(unreachable) == len(status.Nodes) && all.Expected > all.Reachable+unreachable
}

func rowTransition(row *v1alpha1.NodeVerdict, kind, what string) Transition {
	note := fmt.Sprintf("node %s (%s %s) %s", row.Node, row.Family, row.Address, what)
	if row.Message != "" {
		note += ": " + row.Message
	}
	return Transition{
		Node:   row.Node,
		Kind:   kind,
		Reason: cmp.Or(row.Reason, string(row.State)),
		Action: "Reach" + string(row.Family),
		Note:   note,
	}
}

// summed returns the first transitions, those for the worse before those for the
// better, and one for the rest.
func summed(down, up []Transition, all *v1alpha1.ReachabilitySummary) []Transition {
	told := append(down, up...)
	if len(told) <= maxNodeEvents {
		return told
	}
	rest := Transition{
		Kind: corev1.EventTypeNormal, Reason: string(v1alpha1.NodeReachable), Action: "Reach",
		Note: fmt.Sprintf("%d more nodes do not answer and %d more answer again; %s of the expected nodes answer",
			max(0, len(down)-maxNodeEvents), min(len(up), len(told)-maxNodeEvents), all.Summary),
	}
	if len(down) > maxNodeEvents {
		rest.Kind, rest.Reason = corev1.EventTypeWarning, v1alpha1.ReasonNodesUnreachable
	}
	return append(told[:maxNodeEvents:maxNodeEvents], rest)
}
