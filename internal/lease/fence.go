// Package lease keeps an operator from writing that may no longer be the leader.
//
// Leader election alone does not: a process that is stopped for longer than the lease
// lasts goes on where it was, with the world as it was, until it finds out that another one
// took over. The Fence knows when the lease was last renewed, and has every write wait that
// comes later than the lease lasts from then.
package lease

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Fence is a lock for leader election, and a way for requests that only its holder may
// make. It is safe for concurrent use.
type Fence struct {
	resourcelock.Interface

	duration time.Duration

	mu sync.Mutex
	// renewed is when the request was sent that last renewed the lease, and changed is
	// closed at the next one.
	renewed time.Time
	changed chan struct{}
}

// NewFence returns the Fence of a lock whose lease lasts for duration.
func NewFence(lock resourcelock.Interface, duration time.Duration) *Fence {
	return &Fence{Interface: lock, duration: duration, changed: make(chan struct{})}
}

// Create implements resourcelock.Interface.
func (f *Fence) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return f.note(&record, func() error { return f.Interface.Create(ctx, record) })
}

// Update implements resourcelock.Interface.
func (f *Fence) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return f.note(&record, func() error { return f.Interface.Update(ctx, record) })
}

// note notes that the lease is renewed, or given up. Others count its duration from when
// they see that, which is later than the request was sent.
func (f *Fence) note(record *resourcelock.LeaderElectionRecord, write func() error) error {
	sent := time.Now()
	if err := write(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if record.HolderIdentity != f.Identity() {
		sent = time.Time{}
	}
	f.renewed = sent
	close(f.changed)
	f.changed = make(chan struct{})
	return nil
}

// Await waits until the lease is held for certain, or fails with the error of ctx.
func (f *Fence) Await(ctx context.Context) error {
	for {
		held, changed := f.held(time.Now())
		if held {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// held reports whether nobody else can have the lease, and returns what is closed when that
// may change. A machine that sleeps stops the monotonic clock, and the wall clock may be
// set, so the later of the two counts.
func (f *Fence) held(now time.Time) (bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	age := max(now.Sub(f.renewed), now.Round(0).Sub(f.renewed.Round(0)))
	return age < f.duration, f.changed
}

// Wrap returns a transport on which writes wait for the lease.
func (f *Fence) Wrap(next http.RoundTripper) http.RoundTripper {
	return transport{fence: f, next: next}
}

type transport struct {
	fence *Fence
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if writes(request) {
		if err := t.fence.Await(request.Context()); err != nil {
			if request.Body != nil {
				_ = request.Body.Close()
			}
			return nil, err
		}
	}
	return t.next.RoundTrip(request)
}

// WrappedRoundTripper implements net.RoundTripperWrapper of apimachinery, by which client-go
// finds the transport that can cancel a request.
func (t transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// writes reports whether a request may change anything. Reviews of who somebody is and what
// they may do are posted, and are questions.
func writes(request *http.Request) bool {
	return request.Method != http.MethodGet && !strings.HasPrefix(request.URL.Path, "/apis/authentication.k8s.io/") &&
		!strings.HasPrefix(request.URL.Path, "/apis/authorization.k8s.io/")
}
