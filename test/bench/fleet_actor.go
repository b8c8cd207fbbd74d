package main

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/internal/agent"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/nodeport"
)

// An agent of the fleet looks for what it sees no more often than one process has
// the time for, with all agents at it: each looks once per agentTime, and pairTime
// for each pair that is not as the agent knows it, times the number of agents. What
// an agent sees in between, it notes with the time at which it would have.
const (
	agentTime = 50 * time.Microsecond
	pairTime  = 20 * time.Nanosecond

	// advanceTime is how long agents are advanced before news are heard.
	advanceTime = 10 * time.Millisecond
)

// fleetActor plays the agents of all nodes, in one goroutine that owns all of this
// and that others send messages, as an agent's own loop does.
type fleetActor struct {
	began  time.Time
	spread time.Duration
	news   chan func(now time.Duration)
	client *agent.Client
	// watcher is a client of theirs that watches for all of them.
	watcher client.WithWatch
	jobs    chan writing
	// reports counts those that were written, and largest is the size of the
	// largest object that was seen, in bytes.
	reports, largest int

	agents map[string]*simulated
	queue  agentQueue
	breaks *breaks

	// synced is whether all Services are known, and services the newest
	// resourceVersion of them.
	synced   bool
	services uint64
	ports    map[types.NamespacedName]int
	served   nodeport.Set
	declared [portCount]time.Duration
	periods  map[time.Duration]int
	// entered is when a port was first served, stirred when it is looked at because
	// its endpoints changed, and ready whether it has any.
	entered, stirred [portCount]time.Duration
	ready            portBits
	endpoints        map[types.NamespacedName]string
}

// playFleet is the subject. Its arguments are the path of its socket, and for how
// long its agents start, one after the other.
func playFleet(ctx context.Context, arguments []string) error {
	spread, err := strconv.ParseFloat(arguments[1], 64)
	if err != nil {
		return err
	}
	f := newFleetActor(time.Duration(spread * float64(time.Second)))
	config, err := agentsConfig()
	if err != nil {
		return err
	}
	if f.client, err = agent.NewClient(config, "bench"); err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	if f.watcher, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveDirections(ctx, arguments[0], &fleetDirections{f, ctx}) })
	f.watch(ctx, group)
	for range fleetWriters {
		group.Go(func() error { return f.write(ctx) })
	}
	group.Go(func() error { return f.run(ctx) })
	return group.Wait()
}

func newFleetActor(spread time.Duration) *fleetActor {
	return &fleetActor{
		began:  time.Now(),
		spread: spread,
		news:   make(chan func(time.Duration), 1024),
		// One write per agent at most is under way.
		jobs:      make(chan writing, 1<<16),
		agents:    make(map[string]*simulated),
		breaks:    newBreaks(),
		ports:     make(map[types.NamespacedName]int),
		periods:   make(map[time.Duration]int),
		endpoints: make(map[types.NamespacedName]string),
	}
}

// run runs until ctx ends.
func (f *fleetActor) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := time.Second
		if len(f.queue) > 0 {
			wait = min(wait, f.queue[0].due-time.Since(f.began))
		}
		timer.Reset(max(0, wait))
		select {
		case <-ctx.Done():
			return nil
		case apply := <-f.news:
			apply(time.Since(f.began))
			f.hear()
		case <-timer.C:
			f.advance(time.Since(f.began))
		}
	}
}

// hear applies the news that wait. Agents that are due come after them: they have much
// to look at where there is much news.
func (f *fleetActor) hear() {
	for range len(f.news) {
		apply := <-f.news
		apply(time.Since(f.began))
	}
}

// post has the actor apply news.
func (f *fleetActor) post(ctx context.Context, news func(now time.Duration)) {
	select {
	case f.news <- news:
	case <-ctx.Done():
	}
}

// advance lets the agents that are due do what they are to do.
func (f *fleetActor) advance(now time.Duration) {
	// Not for too long, so that news are heard.
	for began := time.Now(); time.Since(began) < advanceTime; {
		if len(f.queue) == 0 || f.queue[0].due > now {
			return
		}
		a := f.queue[0]
		if !a.running {
			f.start(a, now)
		}
		f.step(a, now)
		if f.writeDue(a) <= now {
			f.startWrite(a, now)
		}
		f.plan(a)
	}
}

// plan sets when an agent is due.
func (f *fleetActor) plan(a *simulated) {
	a.due = f.due(a)
	heap.Fix(&f.queue, a.place)
}

func (f *fleetActor) due(a *simulated) time.Duration {
	switch {
	case a.wanted == nil || a.node.dead:
		return reporter.Never
	case !a.running:
		return a.begins
	}
	if a.turned {
		// What it sees by then makes no difference to when it writes.
		return min(a.asked, f.writeDue(a))
	}
	pause := time.Duration(len(f.agents)) * (agentTime + time.Duration(a.unlike)*pairTime)
	news := max(a.news, a.stepped+pause)
	due := min(news, a.asked, f.writeDue(a))
	for i := range a.targets {
		due = min(due, a.targets[i].kin.due)
	}
	return due
}

func (f *fleetActor) writeDue(a *simulated) time.Duration {
	if a.writing || !f.synced {
		return reporter.Never
	}
	return a.pacer.Due(a.pending == 0)
}

// start begins with an agent that knows nothing.
func (f *fleetActor) start(a *simulated, now time.Duration) {
	a.running, a.round, a.done, a.asked = true, 0, 0, reporter.Never
	a.targets, a.pending, a.turned, a.uid = nil, 0, false, ""
	a.pacer = reporter.NewPacer(rand.Float64)
	f.assign(a, now)
}

// agentQueue is a heap of agents, the one that is due first on top.
type agentQueue []*simulated

func (q agentQueue) Len() int           { return len(q) }
func (q agentQueue) Less(i, j int) bool { return q[i].due < q[j].due }

func (q agentQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *agentQueue) Push(x any) {
	a := x.(*simulated)
	a.place = len(*q)
	*q = append(*q, a)
}

func (q *agentQueue) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	*q = (*q)[:last]
	return a
}

// fleetDirections are what a fleet may be directed to do.
type fleetDirections struct {
	fleet *fleetActor
	ctx   context.Context
}

// FleetState is what a fleet tells of itself.
type FleetState struct {
	// Agents is the number that have proof of everything and have reported it.
	Agents int
	// Reports counts those that were written, and Largest is the size in bytes of
	// the largest NodeReachability that was seen, as JSON.
	Reports, Largest int
}

// Break follows a direction.
func (d *fleetDirections) Break(direction Break, _ *struct{}) error {
	return d.do(func(now time.Duration) { d.fleet.turn(now, direction) })
}

// State answers a question.
func (d *fleetDirections) State(_ struct{}, state *FleetState) error {
	return d.do(func(time.Duration) { *state = d.fleet.state() })
}

// do waits until the actor has done something.
func (d *fleetDirections) do(what func(now time.Duration)) error {
	done := make(chan struct{})
	d.fleet.post(d.ctx, func(now time.Duration) {
		defer close(done)
		what(now)
	})
	select {
	case <-done:
		return nil
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
}

// turn breaks or mends something. What agents saw before that stays seen.
func (f *fleetActor) turn(now time.Duration, direction Break) {
	for _, a := range f.agents {
		if a.running {
			f.step(a, now)
		}
	}
	wereDead := make(map[string]bool)
	for _, name := range direction.Nodes {
		wereDead[name] = f.breaks.node(name).dead
	}
	f.breaks.apply(now, direction)
	for name, was := range wereDead {
		if a := f.agents[name]; a != nil && was && !direction.Dead {
			a.running, a.begins = false, now
		}
	}
	for _, a := range f.agents {
		// What it sees next is worked out when it is its turn.
		a.news, a.stepped, a.unlike = now, 0, 0
		f.plan(a)
	}
}

func (f *fleetActor) state() FleetState {
	state := FleetState{Reports: f.reports, Largest: f.largest}
	for _, a := range f.agents {
		if a.running && a.pacer.Begun() && a.pending == 0 {
			state.Agents++
		}
	}
	return state
}
