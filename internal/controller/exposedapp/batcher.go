package exposedapp

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// promptApps is how many apps are woken ahead of others.
	promptApps = 64

	// promptVerdicts is how many verdicts may be evaluated again at once.
	promptVerdicts = 1024

	// windowPerVerdict is how long a change that brings more of them waits for others, per
	// verdict, but no longer than maxWindow. That is six times as long as the slowest kind
	// of verdict takes, so that evaluation leaves time for the rest. While thousands of
	// agents write what they found of something that changed everywhere, each report
	// concerns every app again.
	windowPerVerdict = 16 * time.Microsecond
	maxWindow        = 5 * time.Second
)

// normal is the priority of what concerns a few apps.
const normal = 0

// batcher puts apps on the queue. Changes that take long to evaluate are batched for about
// as long, and changes that concern many apps come after those that concern a few: a queue
// is not made for a hundred thousand additions per second.
type batcher struct {
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
	// nodes is how many there are.
	nodes func() int

	mu      sync.Mutex
	pending map[types.NamespacedName]struct{}
}

func (b *batcher) add(apps []types.NamespacedName) {
	verdicts := len(apps) * b.nodes()
	if verdicts <= promptVerdicts {
		enqueue(b.queue, normal, apps)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending == nil {
		b.pending = make(map[types.NamespacedName]struct{}, len(apps))
		time.AfterFunc(min(time.Duration(verdicts)*windowPerVerdict, maxWindow), b.flush)
	}
	for _, app := range apps {
		b.pending[app] = struct{}{}
	}
}

func (b *batcher) flush() {
	b.mu.Lock()
	apps := slices.Collect(maps.Keys(b.pending))
	b.pending = nil
	b.mu.Unlock()
	priority := normal
	if len(apps) > promptApps {
		priority = handler.LowPriority
	}
	enqueue(b.queue, priority, apps)
}

// enqueue puts apps on a queue, by priority if it has any.
func enqueue(
	queue workqueue.TypedRateLimitingInterface[reconcile.Request], priority int, apps []types.NamespacedName,
) {
	requests := make([]reconcile.Request, 0, len(apps))
	for _, app := range apps {
		requests = append(requests, reconcile.Request{NamespacedName: app})
	}
	if prioritized, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, requests...)
		return
	}
	for _, request := range requests {
		queue.Add(request)
	}
}
