package nodereachability

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability/feed"
)

// addressesChanged leaves out the heartbeats of the kubelets.
func addressesChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Node)
		after, also := e.ObjectNew.(*corev1.Node)
		return !ok || !also || before.UID != after.UID ||
			!maps.Equal(Addresses(before), Addresses(after))
	}}
}

// listChanged leaves out reports, and requests to look again: the operator makes these
// itself, by the dozen per second on a large cluster, and they change nobody's list.
func listChanged(before, after *v1alpha1.NodeReachability) bool {
	switch {
	case before == nil || after == nil:
		return before != after
	case before.UID != after.UID || before.Outside() != after.Outside():
		return true
	}
	was, is := before.Spec, after.Spec
	was.Recheck, is.Recheck = nil, nil
	return before.Generation != after.Generation && !equality.Semantic.DeepEqual(was, is)
}

// listSource enqueues the whole ring where somebody's list changed.
type listSource struct{ reports *feed.Reports }

// Start has it enqueued from now on.
func (s *listSource) Start(
	_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	s.reports.Subscribe(func(change feed.Change) {
		if listChanged(change.Before, change.After) {
			queue.Add(named(wholeRing))
		}
	})
	return nil
}

// WaitForSync waits until every NodeReachability that existed at the start is known: one
// that is not would be created again.
func (s *listSource) WaitForSync(ctx context.Context) error { return s.reports.WaitForSync(ctx) }
