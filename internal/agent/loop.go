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
	"github.com/exposedapp/exposedapp/internal/agent/schedule"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/agent/workers"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// loop is the goroutine that owns the schedule and the pacer. All other goroutines, those
// of the watches, of the probes and of the write, only post to it what to do; so
// nothing here takes a lock, and neither a slow API server nor a silent node
// holds it up.
type loop struct {
	schedule *schedule.Schedule
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

	// cancels end the probes under way.
	cancels map[workers.Ticket]context.CancelFunc

	// events are what other goroutines have the loop do.
	events chan func(now time.Duration)
	done   chan struct{}

	// maxReconnectDelay is the maximum jitter before a failed watch reconnects, in
	// nanoseconds. The watches read it.
	maxReconnectDelay atomic.Int64

	// assignment is nil while there is no NodeReachability, and services, the
	// newest resourceVersion of the Services seen, is empty until all have been
	// listed.
	assignment *assignment
	services   string

	// rechecked is the newest round of rechecks of which the pacer knows, and
	// unreadable the newest that could not be read.
	rechecked, unreadable int64

	// writing is whether a write is under way, outage whether writes fail.
	writing bool
	outage  outage
}

func newLoop(
	limit int, prober Prober,
	publish func(context.Context, types.UID, v1alpha1.NodeReachabilityStatus) error, log logr.Logger,
) *loop {
	return &loop{
		schedule: schedule.New(limit),
		pacer:    reporter.NewPacer(rand.Float64),
		prober:   prober,
		publish:  publish,
		log:      log,
		started:  time.Now(),
		probes:   reporter.NewStatistics(time.Now()),
		cancels:  map[workers.Ticket]context.CancelFunc{},
		events:   make(chan func(time.Duration)),
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
		l.resumeAfterSuspend(now)
		l.advance(now)
		l.startDiagnosis(ctx, now)
		l.startProbes(ctx, now)
		l.startWrite(ctx, now)
		timer.Reset(min(l.nextDeadline()-now, pulse))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case apply := <-l.events:
			now := l.now()
			l.resumeAfterSuspend(now)
			apply(now)
		}
	}
}

// post has the loop apply an event.
func (l *loop) post(apply func(now time.Duration)) {
	select {
	case l.events <- apply:
	case <-l.done:
	}
}

func (l *loop) now() time.Duration {
	return time.Since(l.started)
}

// nextDeadline returns when there is something to do without any message.
func (l *loop) nextDeadline() time.Duration {
	return min(l.writeDue(), l.schedule.NextDeadline())
}

// advance does what the results and the time make necessary.
func (l *loop) advance(now time.Duration) {
	if l.schedule.Advance(now) {
		l.pacer.Note(now, true)
	}
	if _, done := l.schedule.Rechecks(); done != l.rechecked {
		l.rechecked = done
		l.pacer.NoteRechecked(now)
	}
}

// startDiagnosis starts the diagnosing probes that are due.
func (l *loop) startDiagnosis(ctx context.Context, now time.Duration) {
	for {
		p, ok := l.schedule.StartDiagnosis(now)
		if !ok {
			return
		}
		go func() {
			result := l.prober.Probe(ctx, p.Target)
			l.post(func(now time.Duration) {
				if l.schedule.FinishDiagnosis(now, p, result) {
					l.pacer.Note(now, false)
				}
			})
		}()
	}
}

// startProbes starts all probes that are due, each in a goroutine of its own, of
// which the schedule bounds the number, and ends those that have to make room.
func (l *loop) startProbes(ctx context.Context, now time.Duration) {
	for {
		run, ok := l.schedule.Start(now)
		if !ok {
			break
		}
		ctx, cancel := context.WithCancel(ctx)
		l.cancels[run.Ticket] = cancel
		go func() {
			began := time.Now()
			result := l.prober.Probe(ctx, run.Target)
			took := time.Since(began)
			l.post(func(now time.Duration) { l.finishProbe(now, run, result, took) })
		}()
	}
	for {
		ticket, ok := l.schedule.Cut(now)
		if !ok {
			return
		}
		l.cancels[ticket]()
	}
}

func (l *loop) finishProbe(now time.Duration, run schedule.ProbeRun, result probe.Result, took time.Duration) {
	l.cancels[run.Ticket]()
	delete(l.cancels, run.Ticket)
	l.probes.Count(result, took)
	if change := l.schedule.Finish(now, run, result); change != schedule.Unchanged {
		l.pacer.Note(now, change == schedule.Turned)
	}
}

// writeDue returns when to write the next report. None is written before the
// agent knows what to dial, and none while it checks itself.
func (l *loop) writeDue() time.Duration {
	if l.writing || l.assignment == nil || l.services == "" || l.schedule.CheckingSelf() {
		return reporter.Never
	}
	return max(l.hold, l.pacer.Due(l.schedule.Settled()))
}

// startWrite writes a report if it is time to.
func (l *loop) startWrite(ctx context.Context, now time.Duration) {
	if l.writeDue() > now {
		return
	}
	status := l.schedule.Snapshot(now).Status()
	status.ObservedGeneration = l.assignment.generation
	_, status.RecheckRound = l.schedule.Rechecks()
	status.ServicesResourceVersion = l.services
	status.RenewTime = new(metav1.NowMicro())
	status.Probes = l.probes.Status()
	status.Probes.Dials = l.schedule.Dials()
	l.pacer.Write(now)
	l.writing, l.hold = true, 0
	uid, timeout := l.assignment.uid, l.pacer.WriteTimeout()
	go func() {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		err := l.publish(ctx, uid, status)
		l.post(func(now time.Duration) { l.finishWrite(now, err) })
	}()
}

func (l *loop) finishWrite(now time.Duration, err error) {
	l.writing = false
	if err == nil {
		l.pacer.Wrote(now)
	} else {
		l.pacer.Failed(now)
	}
	// Without the object there is nothing to complain about: the watch will report its
	// end.
	if !apierrors.IsNotFound(err) {
		l.outage.note(l.log, l.explained(err))
	}
}

// assign follows a new assignment.
func (l *loop) assign(now time.Duration, a assignment) {
	before, changed := l.assignment, true
	newest, _ := l.schedule.Rechecks()
	switch {
	case before == nil:
		l.pacer.Forget()
		before = &assignment{}
	case before.uid == a.uid && before.generation == a.generation:
		return
	default:
		// If only a recheck is new, its answer is reported, not its arrival: that would
		// hold up the answer.
		changed = before.uid != a.uid || before.Heartbeat != a.Heartbeat ||
			!slices.Equal(before.Addresses, a.Addresses) ||
			a.unreadable != nil || a.recheck.Round <= newest
	}
	for _, address := range a.refused {
		if !slices.Contains(before.refused, address) {
			l.log.Info("Refusing to dial an address that is no node's", "address", address)
		}
	}
	if l.assignment == nil || before.uid != a.uid {
		l.schedule.ForgetRechecks()
		l.rechecked, l.unreadable = 0, 0
	}
	l.assignment = &a
	l.maxReconnectDelay.Store(int64(a.Heartbeat-min(a.Heartbeat, protocol.PromptHeartbeat)) / 10)
	l.schedule.Assign(now, a.Assignment)
	l.pacer.Follow(now, a.Heartbeat)
	if changed {
		l.pacer.Note(now, false)
	}
	l.recheck(now)
}

// recheck follows a request for newer results, once all Services are known.
func (l *loop) recheck(now time.Duration) {
	if l.assignment == nil || l.services == "" {
		return
	}
	request, err := l.assignment.recheck, l.assignment.unreadable
	if err == nil {
		l.schedule.Recheck(now, request)
	} else if request.Round != l.unreadable {
		l.unreadable = request.Round
		l.log.Error(err, "Ignoring a request for newer results")
	}
}

// list takes all Services there are, as of version.
func (l *loop) list(now time.Duration, services []service.Service, version string) {
	first := l.services == ""
	if first {
		l.pacer.Forget()
	}
	l.services = version
	if l.schedule.ReplaceServices(now, services) || first {
		l.pacer.Note(now, false)
	}
	l.recheck(now)
}

// update takes a Service, as of version.
func (l *loop) update(now time.Duration, svc service.Service, version string) {
	l.services = version
	l.schedule.SetService(now, svc)
	// This is worth a report even if nothing that matters here changed: the operator
	// waits for this version.
	l.pacer.Note(now, false)
}

// remove takes the end of a Service, or that it is not the operator's any more, as of
// version.
func (l *loop) remove(now time.Duration, key types.NamespacedName, version string) {
	l.services = version
	if l.schedule.DeleteService(now, key) {
		l.pacer.Note(now, false)
	}
}

// unassign stops dialling: the NodeReachability is gone.
func (l *loop) unassign(now time.Duration) {
	if l.assignment == nil {
		return
	}
	none := l.assignment.Assignment
	none.Addresses = nil
	l.schedule.Assign(now, none)
	l.assignment = nil
}

const (
	// pulse is how often the loop looks at the clock at least.
	pulse = time.Second

	// suspendedTime is how long the loop may be without a look at the clock. If it
	// is longer, the process was stopped, and so were its probes: their timeouts
	// are over although the agent did not wait for an answer.
	suspendedTime = 10 * time.Second

	// lateTime is how long it may be before the pairs that missed their turn are
	// probed before anything is written, for holdTime.
	lateTime = 2 * pulse
	holdTime = 500 * time.Millisecond
)

// resumeAfterSuspend looks at the clock. If the process was stopped, the agent begins
// as after a restart.
func (l *loop) resumeAfterSuspend(now time.Duration) {
	suspended := now - l.passed
	l.passed = now
	if suspended >= lateTime && l.hold == 0 {
		l.hold = now + holdTime
	}
	if suspended < suspendedTime {
		return
	}
	l.log.Info("Resuming as after a restart, because the process did not run for a while", "seconds", int(suspended.Seconds()))
	l.schedule.ResumeAfterSuspend(now)
	l.pacer.Restart(now)
}
