// Package appstatus makes the status of an ExposedApp, and the Events about its changes, of
// what was observed. It is pure: observations and the time go in, and a status comes out.
package appstatus

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
	"github.com/exposedapp/exposedapp/internal/truncate"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// The bounds of the status, which keep an ExposedApp under 10 kB at any size of
// the cluster.
const (
	maxNodes            = verdict.MaxDetailed
	maxNodesBytes       = 6000
	maxNodeMessage      = 256
	maxConditionMessage = 512
)

// Of is a pure function of what was observed. It describes the generation
// of app, whose children were applied or refused before they were observed.
func Of(app *v1alpha1.ExposedApp, seen *Observed, now metav1.Time) v1alpha1.ExposedAppStatus {
	replicas := ptr.Deref(app.Spec.App.Replicas, 1)
	next := v1alpha1.ExposedAppStatus{
		ObservedGeneration: app.Generation,
		NodePort:           cmp.Or(workload.HeldPort(seen.Service), app.Status.NodePort),
		Selector:           labels.SelectorFromSet(workload.Selector(app)).String(),
		Reachability:       summarize(seen.Verdicts),
		Conditions:         slices.Clone(app.Status.Conditions),
	}
	if !seen.applied() {
		// The newest generation is not there yet, whatever the conditions say.
		next.ObservedGeneration = app.Status.ObservedGeneration
	}
	if seen.Deployment != nil {
		next.Replicas = seen.Deployment.Status.Replicas
		next.ReadyReplicas = seen.Deployment.Status.ReadyReplicas
	}
	next.ReplicasSummary = fmt.Sprintf("%d/%d", next.ReadyReplicas, replicas)
	next.Nodes, next.NodesOmitted = worstFirst(seen.Verdicts, app.Status.Nodes, now)

	for _, condition := range conditions(app, seen) {
		condition.ObservedGeneration = app.Generation
		condition.LastTransitionTime = now
		condition.Message = truncate.Marked(condition.Message, maxConditionMessage)
		if condition.Status == "" {
			meta.RemoveStatusCondition(&next.Conditions, condition.Type)
			continue
		}
		// SetStatusCondition keeps the time of an unchanged status.
		meta.SetStatusCondition(&next.Conditions, condition)
	}
	return next
}

// summarize counts the nodes that are expected to answer, and those that do.
func summarize(verdicts []v1alpha1.NodeVerdict) *v1alpha1.ReachabilitySummary {
	summary := &v1alpha1.ReachabilitySummary{
		Expected:  count(verdicts, ""),
		Reachable: count(verdicts, v1alpha1.NodeReachable),
	}
	summary.Summary = fmt.Sprintf("%d/%d", summary.Reachable, summary.Expected)
	return summary
}

// count counts the expected nodes in a state, or in any for the empty one.
func count(verdicts []v1alpha1.NodeVerdict, state v1alpha1.NodeState) int32 {
	var n int32
	for i := range verdicts {
		if verdicts[i].Expected && (state == "" || verdicts[i].State == state) {
			n++
		}
	}
	return n
}

// neededNodes returns how many of the expected nodes must answer for Ready. A
// percentage above 0 asks for at least one: no expected node is no proof.
func neededNodes(app *v1alpha1.ExposedApp, expected int32) int32 {
	minimum := ptr.Deref(app.Spec.MinReachable, intstr.FromString("100%"))
	needed, err := intstr.GetScaledValueFromIntOrPercent(&minimum, int(expected), true)
	if err != nil {
		// The CRD admits numbers and percentages alone; ask for all otherwise.
		return max(expected, 1)
	}
	if minimum.Type == intstr.String && minimum.StrVal != "0%" {
		needed = max(needed, 1)
	}
	return int32(min(needed, math.MaxInt32))
}

// worstFirst orders verdicts for a reader and keeps the time of those that did not
// change.
func worstFirst(
	verdicts, previous []v1alpha1.NodeVerdict, now metav1.Time,
) (listed []v1alpha1.NodeVerdict, omitted int32) {
	type row struct {
		node   string
		family corev1.IPFamily
	}
	before := make(map[row]*v1alpha1.NodeVerdict, len(previous))
	for i := range previous {
		before[row{previous[i].Node, previous[i].Family}] = &previous[i]
	}
	listed = fitting(verdicts)
	for i := range listed {
		listed[i].LastTransitionTime = now
		if old := before[row{listed[i].Node, listed[i].Family}]; old != nil && old.State == listed[i].State {
			listed[i].LastTransitionTime = old.LastTransitionTime
		}
	}
	return listed, int32(len(verdicts) - len(listed))
}

// fitting returns the verdicts that there is room for. Where that is not all, those
// on nodes that just answer are no help: it would be a few of very many, in every
// status, at several times the cost of one without.
func fitting(verdicts []v1alpha1.NodeVerdict) []v1alpha1.NodeVerdict {
	listed, bytes := worstOf(verdicts, maxNodes), 0
	for i := range listed {
		listed[i].Message = truncate.Marked(listed[i].Message, maxNodeMessage)
		if bytes += size(&listed[i]); bytes > maxNodesBytes {
			listed = listed[:i]
			break
		}
	}
	if len(listed) < len(verdicts) {
		listed = slices.DeleteFunc(listed, func(verdict v1alpha1.NodeVerdict) bool {
			return rank(&verdict) == leastRank
		})
	}
	return listed
}

// worstOf returns the worst n verdicts in order. There may be thousands, of
// which nearly all are no worse than the first n.
func worstOf(verdicts []v1alpha1.NodeVerdict, n int) []v1alpha1.NodeVerdict {
	order := func(a v1alpha1.NodeVerdict, b *v1alpha1.NodeVerdict) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(b)), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Family, b.Family))
	}
	worst := make([]v1alpha1.NodeVerdict, 0, min(len(verdicts), n)+1)
	for i := range verdicts {
		if len(worst) == n && order(worst[n-1], &verdicts[i]) <= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(worst, &verdicts[i], order)
		worst = slices.Insert(worst, at, verdicts[i])
		worst = worst[:min(len(worst), n)]
	}
	return worst
}

// size returns about how many bytes a row takes as JSON.
func size(row *v1alpha1.NodeVerdict) int {
	const names = 185
	return names + len(row.Node) + len(row.Address) + len(row.Reason) + len(row.Message) +
		len(row.Observers) + len(row.Outside)
}

// leastRank is that of a node that is expected to answer and just does.
const leastRank = 4

// rank puts what needs attention first.
func rank(row *v1alpha1.NodeVerdict) int {
	switch {
	case row.Expected && row.State == v1alpha1.NodeUnreachable:
		return 0
	case row.Expected && row.State == v1alpha1.NodeUnknown:
		return 1
	case !row.Expected:
		return 2
	case row.Reason != "":
		return 3
	default:
		return leastRank
	}
}
