package exposedapp

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/feed"
)

// reportSource wakes the apps on which the word of an agent changed. It is a source, so
// that no app is judged before every report that exists is folded in.
type reportSource struct {
	reports *feed.Reports
	matrix  *reachability.Matrix
}

// Start has apps woken from now on.
func (s *reportSource) Start(
	_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	waker := &waker{queue: queue, nodes: s.matrix.Nodes}
	s.reports.Subscribe(func(change feed.Change) { waker.wake(change.Touched) })
	return nil
}

// WaitForSync waits until every report that existed at the start is folded in.
func (s *reportSource) WaitForSync(ctx context.Context) error {
	return s.reports.WaitForSync(ctx)
}
