package exposedapp

import (
	"context"
	"errors"
	"fmt"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// staleCheck is how often reports are checked for being stale: often enough for
// the shortest heartbeat.
const staleCheck = time.Second

// newsWaiting is how many reports may wait to be folded in before the informer has to.
const newsWaiting = 1024

// reportSource folds the agents' reports into the Matrix and wakes the apps on
// which their word changed. It is a source rather than a controller, so that no
// app is judged before every report that exists is folded in.
type reportSource struct {
	cache  cache.Cache
	matrix *reachability.Matrix
	clock  clock.PassiveClock
	synced toolscache.ResourceEventHandlerRegistration
	// news is what is to be folded in. An informer hands over one event at a time, from
	// one goroutine to another, and apps are judged in between; from here many are
	// folded in at once.
	news chan func()
}

// Start adds the source to the informer of NodeReachabilities. It returns as
// soon as events flow.
func (s *reportSource) Start(
	ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	informer, err := s.cache.GetInformer(ctx, &v1alpha1.NodeReachability{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("get informer of node reachabilities: %w", err)
	}
	waker := &waker{queue: queue, nodes: s.matrix.Nodes}
	s.news = make(chan func(), newsWaiting)
	s.synced, err = informer.AddEventHandler(s.handler(ctx, waker))
	if err != nil {
		return fmt.Errorf("watch node reachabilities: %w", err)
	}
	go s.fold(ctx, waker)
	return nil
}

// WaitForSync waits until every report that existed at the start is folded in.
func (s *reportSource) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), s.synced.HasSynced) {
		return errNotRead
	}
	folded := make(chan struct{})
	s.post(ctx, func() { close(folded) })
	select {
	case <-folded:
		return nil
	case <-ctx.Done():
		return errNotRead
	}
}

var errNotRead = errors.New("reports of the agents were not read in time")

func (s *reportSource) handler(ctx context.Context, waker *waker) toolscache.ResourceEventHandler {
	fold := func(object any) {
		report, ok := object.(*v1alpha1.NodeReachability)
		if !ok {
			return
		}
		s.post(ctx, func() {
			touched, err := s.matrix.Report(report, s.clock.Now())
			if err != nil {
				log.FromContext(ctx).Error(err, "Unreadable report", "nodeReachability", klog.KObj(report))
			}
			waker.wake(touched)
		})
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    fold,
		UpdateFunc: func(_, object any) { fold(object) },
		DeleteFunc: func(object any) {
			if report, ok := object.(*v1alpha1.NodeReachability); ok {
				s.matrix.Discard(report)
			}
			if name, err := toolscache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
				s.post(ctx, func() { waker.wake(s.matrix.Remove(name)) })
			}
		},
	}
}

func (s *reportSource) post(ctx context.Context, news func()) {
	select {
	case s.news <- news:
	case <-ctx.Done():
	}
}

// fold folds in what is new, and silences the reports that their agents no longer renew.
func (s *reportSource) fold(ctx context.Context, waker *waker) {
	ticker := time.NewTicker(staleCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case news := <-s.news:
			news()
		case <-ticker.C:
			waker.wake(s.matrix.Expire(s.clock.Now()))
		}
	}
}
