package exposedapp

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// promptWakes is how many apps are woken at once.
	promptWakes = 64

	// wakeGather is how long more wait for others, per app. While thousands of
	// agents write their first report, each concerns every app.
	wakeGather = 200 * time.Microsecond
)

// normal is the priority of what concerns a few apps.
const normal = 0

// waker puts apps on the queue. What concerns many it gathers, for as long as it
// takes to follow, and puts behind what concerns a few: a queue is not made for a
// hundred thousand additions per second.
type waker struct {
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]

	mu       sync.Mutex
	gathered map[types.NamespacedName]struct{}
}

func (w *waker) wake(apps []types.NamespacedName) {
	if len(apps) <= promptWakes {
		enqueue(w.queue, normal, apps)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gathered == nil {
		w.gathered = make(map[types.NamespacedName]struct{}, len(apps))
		time.AfterFunc(time.Duration(len(apps))*wakeGather, w.flush)
	}
	for _, app := range apps {
		w.gathered[app] = struct{}{}
	}
}

func (w *waker) flush() {
	w.mu.Lock()
	apps := make([]types.NamespacedName, 0, len(w.gathered))
	for app := range w.gathered {
		apps = append(apps, app)
	}
	w.gathered = nil
	w.mu.Unlock()
	enqueue(w.queue, handler.LowPriority, apps)
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
