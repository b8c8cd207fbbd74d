// Package feed brings the agents' reports into the State. It lists and watches the
// NodeReachabilities and writes what comes straight into it, a list as well as a single
// change: there is no cache in between that could hand over something else than what
// the API server sent.
package feed

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/listwatch"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

const (
	resource = "nodereachabilities"
	// pageSize is how many reports are listed at a time. Only agents write them.
	pageSize = 250

	// staleCheck is how often reports are checked for being stale: often enough for
	// the shortest heartbeat.
	staleCheck = time.Second

	// frozenTime is how long a check may be late until the operator must have been
	// stopped. What came meanwhile it has not read yet.
	frozenTime = 5 * staleCheck

	// askTimeout is how long the API server may take to show that it is there.
	askTimeout = 2 * time.Second
)

// Change is what came of a report.
type Change struct {
	// Before and After are the NodeReachability with what Reports keep of it, nil
	// where there was or is none. Both are nil where reports became stale.
	Before, After *v1alpha1.NodeReachability
	// Touched are the apps on which the word of an observer changed.
	Touched []types.NamespacedName
}

// Reports is the feed of reports. It is safe for concurrent use.
type Reports struct {
	state  *reachability.State
	clock  clock.PassiveClock
	source toolscache.ListerWatcher
	// ask makes a request that a list or watch does not answer.
	ask func(context.Context) error

	synced  chan struct{}
	syncing sync.Once

	mu          sync.Mutex
	subscribers []func(Change)
	hearing     hearing
}

// NewReports returns a feed from the API server that config names. health is told of
// the requests.
func NewReports(
	config *rest.Config, state *reachability.State, now clock.PassiveClock, health *listwatch.Health,
) (*Reports, error) {
	client, err := listwatch.NewClient(config, v1alpha1.SchemeGroupVersion, "NodeReachability")
	if err != nil {
		return nil, err
	}
	items := client.Items(resource, decode)
	return newReports(items, state, now, health.Note(resource), func(ctx context.Context) error {
		_, err := items.ListWithContext(ctx, metav1.ListOptions{Limit: 1})
		return err
	}), nil
}

func newReports(
	items toolscache.ListerWatcher, state *reachability.State, now clock.PassiveClock, note listwatch.Note,
	ask func(context.Context) error,
) *Reports {
	r := &Reports{
		state: state, clock: now, ask: ask, synced: make(chan struct{}),
		hearing: hearing{state: state, last: now.Now(), checked: now.Now()},
	}
	asItIs := func(report runtime.Object) (runtime.Object, error) { return report, nil }
	r.source = listwatch.Persistent(items, pageSize, asItIs, func(verb string, err error) {
		note(verb, err)
		r.noteAway(listwatch.IsUnavailable(err))
	})
	return r
}

// Subscribe has a function called after each change from now on, one at a time.
func (r *Reports) Subscribe(subscriber func(Change)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subscribers = append(r.subscribers, subscriber)
}

// WaitForSync waits until every report that existed at the start is folded in.
func (r *Reports) WaitForSync(ctx context.Context) error {
	select {
	case <-r.synced:
		return nil
	case <-ctx.Done():
		return errors.New("reports of the agents were not read in time")
	}
}

// Run feeds the State until ctx ends.
func (r *Reports) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() {
		toolscache.NewReflectorWithOptions(r.source, &reachability.Report{}, store{ctx, r}, toolscache.ReflectorOptions{
			Name: resource,
			// The default of up to half a minute would leave the operator without reports
			// for as long, when watches expire one after the other.
			Backoff: &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1, Jitter: 1, Steps: math.MaxInt32},
		}).RunWithContext(ctx)
	})
	ticker := time.NewTicker(staleCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			running.Wait()
			return
		case <-ticker.C:
			r.check(ctx)
		}
	}
}

// check silences the reports that their agents no longer renew. Where no report at all
// was renewed that should have been, it may be the API server that is silent, so that is
// asked first.
func (r *Reports) check(ctx context.Context) {
	r.mu.Lock()
	now := r.clock.Now()
	r.hearing.check(now)
	silent := r.hearing.silent(now)
	r.mu.Unlock()
	if silent {
		answered := r.answers(ctx)
		r.mu.Lock()
		now = r.clock.Now()
		r.hearing.answered(answered, now)
		r.mu.Unlock()
	}
	r.tell(Change{Touched: r.state.Expire(now)})
}

func (r *Reports) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return r.ask(ctx) == nil
}

func (r *Reports) noteAway(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hearing.away(away, r.clock.Now())
}

func (r *Reports) heard() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	r.hearing.heard(now)
	return now
}

// tell tells the subscribers of a change.
func (r *Reports) tell(change Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, subscriber := range r.subscribers {
		subscriber(change)
	}
}

func (r *Reports) fold(ctx context.Context, received *reachability.Report) {
	before := r.state.ReportOf(received.Name)
	touched := r.state.Fold(received, r.heard())
	// Once for an observer, not for each of its heartbeats.
	if err := received.Err(); err != nil && (before == nil || before.Err() == nil) {
		log.FromContext(ctx).Error(err, "Unreadable report, so this observer says nothing", "nodeReachability", received.Name)
	}
	r.tell(Change{Before: object(before), After: object(received), Touched: touched})
}

func (r *Reports) remove(name string) {
	before := r.state.ReportOf(name)
	if before == nil {
		return
	}
	r.tell(Change{Before: object(before), Touched: r.state.Remove(name)})
}

// listed notes that all reports there are have been folded in.
func (r *Reports) listed() {
	r.heard()
	r.syncing.Do(func() { close(r.synced) })
}

func object(report *reachability.Report) *v1alpha1.NodeReachability {
	if report == nil {
		return nil
	}
	return &report.NodeReachability
}
