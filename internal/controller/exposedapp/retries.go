package exposedapp

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// firstRetry is when an app is tried again at first, and lastRetry after many times. It
	// grows no further: whatever was in the way, the app is there within seconds after.
	firstRetry = 5 * time.Millisecond
	lastRetry  = 10 * time.Second

	// retriesPerSecond bounds what apps that are refused for long cost the API server, all
	// together, beyond retryBurst. Up to some hundred it makes no difference.
	retriesPerSecond = 20
	retryBurst       = 200

	// limitedFrom is the shortest pause that counts among these. A shorter one may follow a
	// conflict of two writers, for which no app is to wait for others.
	limitedFrom = time.Second

	// askJitter keeps apps that were refused together from asking together for ever.
	askJitter = 0.2
)

// retries is when apps that were refused are tried again.
type retries struct {
	workqueue.TypedRateLimiter[reconcile.Request]
	all *rate.Limiter

	mu sync.Mutex
	// asks is when each app asks again for what was decided against.
	asks map[types.NamespacedName]ask
}

// ask is a time at which an app asks again, and how long it had to wait for that at least.
type ask struct {
	at    time.Time
	pause time.Duration
}

func newRetries() *retries {
	return &retries{
		TypedRateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		all:              rate.NewLimiter(retriesPerSecond, retryBurst),
		asks:             make(map[types.NamespacedName]ask),
	}
}

// When returns when an app is to be tried again after an error.
func (r *retries) When(app reconcile.Request) time.Duration {
	pause := r.TypedRateLimiter.When(app)
	if pause < limitedFrom {
		return pause
	}
	return max(pause, r.all.Reserve().Delay())
}

// askAfter returns how long an app has to wait until it asks again. It reserves that once,
// however often the app is reconciled until then. A pause of 0 means never.
func (r *retries) askAfter(app types.NamespacedName, pause time.Duration, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.asks[app]
	switch {
	case pause == 0:
		delete(r.asks, app)
		return 0
	case next.pause != pause || !next.at.After(now):
		delay := r.all.ReserveN(now, 1).DelayFrom(now)
		next = ask{at: now.Add(max(wait.Jitter(pause, askJitter), delay)), pause: pause}
		r.asks[app] = next
	}
	return next.at.Sub(now)
}
