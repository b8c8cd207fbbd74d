package agent

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// loop is the goroutine that owns the schedule and the pacer. All others, those
// of the watches, of the probes and of the write, only send it messages; so
// nothing here takes a lock, and neither a slow API server nor a silent node
// holds it up.
type loop struct {
	schedule *schedule
	pacer    reporter.Pacer
	prober   Prober
	publish  func(context.Context, types.UID, v1alpha1.NodeReachabilityStatus) error
	log      logr.Logger
	started  time.Time
	probes   reporter.Statistics

	// outside is the name of an observer outside of the cluster, and empty on a node.
	outside string

	// passed is when the loop last looked at the clock, and hold until when it
	// writes nothing because it had not for a while.
	passed, hold time.Duration

	// cancels end the probes under way, by their stints.
	cancels map[stintKey]context.CancelFunc

	// news are changes to apply, from the watches.
	news    chan func(now time.Duration)
	landed  chan landing
	tried   chan trial
	written chan error
	done    chan struct{}

	// breather is how long, in nanoseconds, a watch that failed may wait at most.
	// The watches read it.
	breather atomic.Int64

	// assignment is nil while there is no NodeReachability, and services, the
	// newest resourceVersion of the Services seen, is empty until all have been
	// listed.
	assignment *assignment
	services   string

	// rechecked is the newest round of rechecks that the pacer was told of, and
	// unreadable the newest that could not be read.
	rechecked, unreadable int64

	// writing is whether a write is under way, outage whether writes fail.
	writing bool
	outage  outage
}

// landing is the end of a flight.
type landing struct {
	flight flight
	result probe.Result
	took   time.Duration
}

// trial is the end of an attempt.
type trial struct {
	attempt attempt
	result  probe.Result
}

func newLoop(
	workers int, prober Prober,
	publish func(context.Context, types.UID, v1alpha1.NodeReachabilityStatus) error, log logr.Logger,
) *loop {
	return &loop{
		schedule: newSchedule(workers),
		pacer:    reporter.NewPacer(rand.Float64),
		prober:   prober,
		publish:  publish,
		log:      log,
		started:  time.Now(),
		probes:   reporter.NewStatistics(time.Now()),
		cancels:  map[stintKey]context.CancelFunc{},
		news:     make(chan func(time.Duration)),
		landed:   make(chan landing),
		tried:    make(chan trial),
		written:  make(chan error),
		done:     make(chan struct{}),
		outage:   outage{action: "write the report"},
	}
}

// run runs until ctx ends.
func (l *loop) run(ctx context.Context) {
	defer close(l.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := l.now()
		l.thaw(now)
		l.review(now)
		l.startWays(ctx, now)
		l.startProbes(ctx, now)
		l.startWrite(ctx, now)
		timer.Reset(min(l.wake()-now, pulse))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case apply := <-l.news:
			apply(l.now())
		case landed := <-l.landed:
			l.thaw(l.now())
			l.land(landed)
		case tried := <-l.tried:
			if l.schedule.finishWay(l.now(), tried.attempt, tried.result) {
				l.pacer.Note(l.now(), false)
			}
		case err := <-l.written:
			l.finishWrite(err)
		}
	}
}

func (l *loop) now() time.Duration {
	return time.Since(l.started)
}

// wake returns when there is something to do without any message.
func (l *loop) wake() time.Duration {
	_, way := l.schedule.nextWay()
	due := min(l.writeDue(), way, l.schedule.settleDue(), l.schedule.stirDue(), l.schedule.kinDue(),
		l.schedule.cutDue())
	if next, ok := l.schedule.next(); ok {
		due = min(due, next)
	}
	return due
}

// review does what the results and the time make necessary.
func (l *loop) review(now time.Duration) {
	l.schedule.follow(now)
	l.schedule.lookAtKin(now)
	if l.schedule.settle(now) {
		l.pacer.Note(now, true)
	}
	if done := l.schedule.recheck.done; done != l.rechecked {
		l.rechecked = done
		l.pacer.NoteRechecked(now)
	}
}

// startWays starts the attempts that are due.
func (l *loop) startWays(ctx context.Context, now time.Duration) {
	for {
		a, ok := l.schedule.startWay(now)
		if !ok {
			return
		}
		go func() {
			result := l.prober.Probe(ctx, a.target)
			select {
			case l.tried <- trial{a, result}:
			case <-l.done:
			}
		}()
	}
}

// post makes the loop apply news.
func (l *loop) post(news func(now time.Duration)) {
	select {
	case l.news <- news:
	case <-l.done:
	}
}

// startProbes starts all probes that are due, each in a goroutine of its own, of
// which the schedule bounds the number, and ends those that have to make room.
func (l *loop) startProbes(ctx context.Context, now time.Duration) {
	for {
		f, ok := l.schedule.start(now)
		if !ok {
			break
		}
		ctx, cancel := context.WithCancel(ctx)
		l.cancels[f.stint] = cancel
		go func() {
			began := time.Now()
			result := l.prober.Probe(ctx, f.target)
			select {
			case l.landed <- landing{f, result, time.Since(began)}:
			case <-l.done:
			}
		}()
	}
	for {
		key, ok := l.schedule.cut(now)
		if !ok {
			return
		}
		l.cancels[key]()
	}
}

func (l *loop) land(landed landing) {
	now := l.now()
	l.cancels[landed.flight.stint]()
	delete(l.cancels, landed.flight.stint)
	l.probes.Count(landed.result, landed.took)
	if change := l.schedule.finish(now, landed.flight, landed.result); change != unchanged {
		l.pacer.Note(now, change == turned)
	}
}

// writeDue returns when to write the next report. None is written before the
// agent knows what to dial, and none while it doubts itself.
func (l *loop) writeDue() time.Duration {
	if l.writing || l.assignment == nil || l.services == "" || l.schedule.doubt.open {
		return never
	}
	return max(l.hold, l.pacer.Due(l.schedule.pending == 0))
}

// startWrite writes a report if it is time to.
func (l *loop) startWrite(ctx context.Context, now time.Duration) {
	if l.writeDue() > now {
		return
	}
	status := l.schedule.survey(now).Status()
	status.ObservedGeneration = l.assignment.generation
	status.RecheckRound = l.schedule.recheck.done
	status.ServicesResourceVersion = l.services
	status.RenewTime = new(metav1.NowMicro())
	status.Probes = l.probes.Status()
	status.Probes.Dials = l.schedule.paths.status()
	l.pacer.Write(now)
	l.writing, l.hold = true, 0
	uid, patience := l.assignment.uid, l.pacer.WriteTimeout()
	go func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		err := l.publish(ctx, uid, status)
		select {
		case l.written <- err:
		case <-l.done:
		}
	}()
}

func (l *loop) finishWrite(err error) {
	l.writing = false
	now := l.now()
	if err == nil {
		l.pacer.Wrote(now)
	} else {
		l.pacer.Failed(now)
	}
	// Without the object there is nothing to complain about: the watch will tell
	// of its end.
	if !apierrors.IsNotFound(err) {
		l.outage.note(l.log, l.explained(err))
	}
}

// assign follows a new assignment.
func (l *loop) assign(now time.Duration, a assignment) {
	var refusedBefore []string
	// A request alone has its answer reported, not its arrival: that would hold
	// up the answer.
	onlyRecheck := false
	switch before := l.assignment; {
	case before == nil:
		l.pacer.Forget()
	case before.uid == a.uid && before.generation == a.generation:
		return
	default:
		refusedBefore = before.refused
		onlyRecheck = before.uid == a.uid && before.heartbeat == a.heartbeat &&
			slices.Equal(before.addresses, a.addresses) &&
			a.unreadable == nil && a.recheck.Round > l.schedule.recheck.round
	}
	for _, address := range a.refused {
		if !slices.Contains(refusedBefore, address) {
			l.log.Info("Refusing to dial an address that is no node's", "address", address)
		}
	}
	if l.assignment == nil || l.assignment.uid != a.uid {
		l.schedule.recheck, l.rechecked, l.unreadable = recheck{}, 0, 0
	}
	l.assignment = &a
	l.breather.Store(int64(a.heartbeat-min(a.heartbeat, smallCluster)) / 10)
	l.schedule.own = a.own
	l.schedule.resize(a.size)
	l.schedule.takeTurns(a.turns)
	l.schedule.assign(now, a.addresses, a.heartbeat)
	l.pacer.Follow(now, a.heartbeat)
	if !onlyRecheck {
		l.pacer.Note(now, false)
	}
	l.look(now)
}

// look follows a request for newer results, once all Services are known.
func (l *loop) look(now time.Duration) {
	if l.assignment == nil || l.services == "" {
		return
	}
	request, err := l.assignment.recheck, l.assignment.unreadable
	if err == nil {
		l.schedule.look(now, request)
	} else if request.Round != l.unreadable {
		l.unreadable = request.Round
		l.log.Error(err, "Ignoring a request for newer results")
	}
}

// list takes all Services there are, as of version.
func (l *loop) list(now time.Duration, services []service, version string) {
	first := l.services == ""
	if first {
		l.pacer.Forget()
	}
	l.services = version
	if l.schedule.replaceServices(now, services) || first {
		l.pacer.Note(now, false)
	}
	l.look(now)
}

// update takes a Service, as of version.
func (l *loop) update(now time.Duration, svc service, version string) {
	l.services = version
	l.schedule.setService(now, svc)
	// Worth a report even if nothing that matters here changed: whoever reads it
	// waits for this version.
	l.pacer.Note(now, false)
}

// remove takes the end of a Service, or the news that it is not the operator's,
// as of version.
func (l *loop) remove(now time.Duration, key types.NamespacedName, version string) {
	l.services = version
	if l.schedule.deleteService(now, key) {
		l.pacer.Note(now, false)
	}
}

// unassign stops dialling: the NodeReachability is gone.
func (l *loop) unassign(now time.Duration) {
	if l.assignment == nil {
		return
	}
	l.schedule.assign(now, nil, l.assignment.heartbeat)
	l.assignment = nil
}
