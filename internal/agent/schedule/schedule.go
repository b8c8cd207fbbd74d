// Package schedule decides which pair of an address and a node port is probed when, and
// what a result means. It makes no probe, reads no clock and knows no API server: the owner
// of a Schedule asks which probes to start, and hands in their results.
//
// Regular probes have their turn once per period, and events have pairs probed out of
// turn, for the reasons and within the allowances of one table (package pace). All of them
// wait for a worker (package workers). What may be known of a pair, and which of
// its fields may hold what then, is the table at the type pair.
package schedule

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/diagnosis"
	"github.com/exposedapp/exposedapp/internal/agent/pace"
	"github.com/exposedapp/exposedapp/internal/agent/queue"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/agent/selfcheck"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/agent/workers"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// Change is what a result means for the report.
type Change uint8

const (
	Unchanged Change = iota
	Proven           // a pending pair has its first result
	Turned           // a pair that had a result has another one now
	Foreseen         // it fails, as it must where no pod is ready
)

// ProbeRun is a probe under way.
type ProbeRun struct {
	Target probe.Target
	Ticket workers.Ticket

	round   uint64
	started time.Duration
}

// Schedule knows every pair, what was found about it, and when to probe it next.
// Times are since an instant of the owner's choice.
type Schedule struct {
	table
	timing pace.Timing

	// Outside is whether the observer is outside of the cluster. From there, no other
	// path leads to an app than its node ports.
	Outside bool

	recentOwners service.RecentOwners
	queue        queue.Queue[*pair]
	workers      workers.Pool
	// polled is when Start last looked for something to do.
	polled time.Duration

	// rounds is the last round given to a pair, and pending the number of pairs in
	// that state.
	rounds  uint64
	pending int

	requests  pace.Requests
	rechecks  pace.Rechecks
	check     selfcheck.Check
	diagnosis diagnosis.Diagnosis
	ways      diagnosis.Ways
}

// New returns an empty schedule, which runs at most limit probes at once.
func New(limit int) *Schedule {
	s := &Schedule{
		table:        table{rows: map[uint16]*row{}, ports: map[types.NamespacedName]uint16{}},
		timing:       pace.NewTiming(),
		recentOwners: service.RecentOwners{},
		workers:      workers.New(limit),
		requests:     pace.Requests{},
		ways:         diagnosis.NewWays(),
		queue: queue.New(
			func(a, b *pair) bool { return a.due < b.due },
			func(p *pair) *int32 { return &p.place },
		),
	}
	s.diagnosis = diagnosis.New(&s.workers, s.serviceOn, &s.endpoints)
	return s
}

// NextDeadline returns when there is something to do without any event.
func (s *Schedule) NextDeadline() time.Duration {
	next, _ := s.next()
	return min(next, s.requests.Deadline(), s.check.Due(), s.diagnosis.Due(), s.workers.CutDue())
}

// next returns when Start has something to do, and false when that depends on
// something else than time.
func (s *Schedule) next() (time.Duration, bool) {
	next := never
	if len(s.queue.Items) > 0 {
		next = s.queue.Items[0].due
	}
	for l := range workers.None {
		if s.workers.Startable(l) {
			next = min(next, s.polled)
		}
	}
	return next, next != never
}

// Settled reports whether every pair has a result.
func (s *Schedule) Settled() bool {
	return s.pending == 0
}

// CheckingSelf reports whether the trouble that was found may be this node's own.
func (s *Schedule) CheckingSelf() bool {
	return s.check.Open()
}

// Rechecks returns the round of the operator's newest request for newer results, and that
// of the newest that was carried out.
func (s *Schedule) Rechecks() (newest, done int64) {
	return s.rechecks.Round, s.rechecks.Done
}

// Dials returns the numbers of dials by way.
func (s *Schedule) Dials() []v1alpha1.DialCount {
	return s.ways.Dials()
}

// Snapshot returns what is known of all pairs. A result older than its cycle is none.
func (s *Schedule) Snapshot(now time.Duration) reporter.Snapshot {
	c := reporter.NewCollector(s.addresses)
	for port, r := range s.rows {
		c.Serve(port, r.service.IPv4, r.service.IPv6)
		for i := range r.pairs {
			switch p := &r.pairs[i]; {
			case p.state == undialled, p.state == reached && !p.stale(now):
			case p.state == failing && p.diagnosing && !p.stale(now):
				c.Add(i, port, reporter.FailureCause{Result: p.result, Evidence: s.diagnosis.Evidence(s.paths(p))})
			case p.state == failing && !p.stale(now):
				c.Add(i, port, reporter.FailureCause{Result: p.result})
			default:
				c.Add(i, port, reporter.FailureCause{Gap: p.gap()})
			}
		}
	}
	return c.Snapshot()
}

// Advance does what the time makes necessary. It reports whether pairs turned.
func (s *Schedule) Advance(now time.Duration) bool {
	for of := range s.requests {
		s.carryOut(now, of)
	}
	s.requests.Prune(now)
	return s.check.Settle(now, &s.table) && s.distrust(now)
}

// Start begins a probe that is due, if it gets a worker. It returns false when
// none does.
func (s *Schedule) Start(now time.Duration) (ProbeRun, bool) {
	s.polled = now
	if s.workers.Decay(now) {
		for _, r := range s.rows {
			r.app.Decay()
		}
	}
	s.lineUp(now)
	app, lane := s.workers.Next(now)
	if app == nil {
		return ProbeRun{}, false
	}
	r := s.rows[app.Port]
	p := r.longestWaiting(lane)
	p.waits = workers.None
	ticket := s.workers.Engage(now, app, lane)
	p.started = now
	p.inFlight++
	if p.hedged() && p.failed+p.inFlight < r.service.Probe.Threshold {
		s.plan(p, now+pace.HedgeDelay)
	}
	return ProbeRun{
		Target: probe.Target{
			Address: p.target(),
			Path:    r.service.Probe.Path,
			Timeout: r.service.Probe.Timeout,

			Provable: s.foreign(p.address) && p.state != ownHost,
			Detoured: s.ways.Expected(p.address, p.way) == probe.Translated,
		},
		Ticket:  ticket,
		round:   p.round,
		started: now,
	}, true
}

// lineUp has all pairs that are due wait for a worker. One that is not hedged has one
// probe under way at most.
func (s *Schedule) lineUp(now time.Duration) {
	for len(s.queue.Items) > 0 && s.queue.Items[0].due <= now {
		p := s.queue.Items[0]
		s.queue.Take(p)
		if p.inFlight > 0 && !p.hedged() {
			p.again = true
			continue
		}
		if p.state == reached && p.inFlight > 0 && !p.slow && now-p.started >= pace.HedgeDelay {
			s.trouble(now, p)
		}
		p.waits = p.lane()
		s.workers.Join(&p.row.app, p.waits)
	}
}

// Cut gives up a probe under way that has to make room, and returns false if there is
// none. Its result is still to be handed in.
func (s *Schedule) Cut(now time.Duration) (workers.Ticket, bool) {
	return s.workers.Cut(now)
}

// Finish takes the result of a probe that Start returned.
func (s *Schedule) Finish(now time.Duration, run ProbeRun, result probe.Result) Change {
	cut := s.workers.Release(now, run.Ticket)
	address := run.Target.Address.Addr()
	p := s.pair(run.Target.Address)
	known := reached
	if p == nil {
		s.ways.Trace(address, nil, &result)
	} else {
		s.ways.Trace(address, &p.way, &result)
		known = s.known(address, result.Path)
	}
	if known == reached && result.Reached() && s.foreign(address) {
		s.check.Prove(run.started)
	}
	if p == nil || p.round != run.round {
		return Unchanged
	}
	before := p.state
	change := s.take(now, run, p, known, result, cut)
	if change == Turned && p.state != before {
		s.scheduleNodeSweep(now, p)
	}
	return change
}

// take takes the result of a probe of p. known is reached unless the dial says nothing,
// and cut whether the probe was cut.
func (s *Schedule) take(now time.Duration, run ProbeRun, p *pair, known state, result probe.Result, cut bool) Change {
	p.inFlight--
	p.tardy = now-run.started > pace.HedgeDelay
	again := p.again
	change := Unchanged
	switch path := result.Path; {
	case known != reached || result.Reached():
		change = s.settle(now, run, p, known, path)
	case !cut:
		result.Path = probe.Path{}
		change = s.fail(now, run, p, result)
	case p.inFlight == 0:
		s.hasten(p, now+pace.MinFailingPeriod)
	}
	if again && p.inFlight == 0 {
		p.again = false
		s.hasten(p, now)
	}
	return change
}

// settle takes a result that needs no confirmation: an answer, or a dial that says nothing.
func (s *Schedule) settle(now time.Duration, run ProbeRun, p *pair, known state, path probe.Path) Change {
	s.newRound(p)
	p.slow = known == reached && p.tardy
	if known == translated {
		p.detour = p.detour.See(now, path.Remote, p.row.changed)
	}
	p.expires = now + s.timing.Cycle(p.row.service.Probe, p.row.dialled)
	s.plan(p, pace.NextTurn(now, s.period(p), p.phase))
	s.answerRecheck(now, run, p)
	return s.conclude(p, known, probe.Result{})
}

// fail takes the lack of one.
func (s *Schedule) fail(now time.Duration, run ProbeRun, p *pair, result probe.Result) Change {
	threshold := p.row.service.Probe.Threshold
	if p.state == reached {
		s.trouble(now, p)
	}
	p.failed = min(p.failed+1, threshold)
	if p.failed < threshold && p.state != failing {
		if p.failed+p.inFlight < threshold {
			s.plan(p, now+p.confirmDelay())
		}
		return Unchanged
	}
	if p.state != failing {
		p.since = now
	}
	p.expires = now + s.timing.Cycle(p.row.service.Probe, p.row.dialled)
	s.plan(p, max(now+pace.MinFailingPeriod,
		run.started+s.timing.FailingPeriod(now-p.since, p.row.service.Probe.Period, p.row.dialled)))
	s.answerRecheck(now, run, p)
	if result.Reason == probe.NotDialled {
		return s.conclude(p, pending, probe.Result{})
	}
	return s.conclude(p, failing, result)
}

// conclude sets what is known of p.
func (s *Schedule) conclude(p *pair, known state, result probe.Result) Change {
	before, wasReached, podless := p.state, p.wasReached, p.podless
	p.wasReached, p.podless = false, known == failing && s.podless(p)
	if known == failing {
		s.startDiagnosing(p)
	} else {
		s.stopDiagnosing(p)
	}
	// A failure that had an excuse, and has none any more, is news.
	unexcused := podless && known == failing && !p.podless
	if before == known && p.result == result && !unexcused {
		return Unchanged
	}
	alike := before == failing && known == failing && !unexcused &&
		diagnosis.MaybeRejected(p.result.Reason) && diagnosis.MaybeRejected(result.Reason)
	s.setState(p, known)
	p.result = result
	switch {
	case before == pending && !wasReached:
		return Proven
	case alike:
		return Unchanged
	case p.podless:
		return Foreseen
	}
	return Turned
}

func (s *Schedule) setState(p *pair, known state) {
	if p.state == pending {
		s.pending--
	}
	if known == pending {
		s.pending++
	}
	if known != translated {
		p.detour = nil
	}
	p.state = known
}

// newRound makes p forget its failures and the probes under way.
func (s *Schedule) newRound(p *pair) {
	s.rounds++
	p.round, p.failed, p.inFlight, p.troubled, p.again = s.rounds, 0, 0, false, false
}

// period returns the time between two probes of a pair that is reached.
func (s *Schedule) period(p *pair) time.Duration {
	return s.timing.Period(p.row.service.Probe.Period, p.row.dialled)
}

// answerRecheck takes note that p has a result. If that is older than the request for it,
// and no other probe is under way that counts, p is probed once more.
func (s *Schedule) answerRecheck(now time.Duration, run ProbeRun, p *pair) {
	if s.rechecks.Answer(p.target(), run.started) && p.inFlight == 0 {
		s.hasten(p, now)
	}
}

// plan sets the next probe of p.
func (s *Schedule) plan(p *pair, due time.Duration) {
	s.dismiss(p)
	p.due = due
	s.queue.Put(p)
}

// hasten makes p due at due, if that is sooner than it is, and no sooner than a
// port that changed hands may be dialled.
func (s *Schedule) hasten(p *pair, due time.Duration) {
	due = max(due, p.row.opens)
	if p.waits == workers.None && (!s.queue.Contains(p) || due < p.due) {
		s.plan(p, due)
	}
}

// dismiss takes p out of its lane, if it waits in one.
func (s *Schedule) dismiss(p *pair) {
	if p.waits != workers.None {
		s.workers.Leave(&p.row.app, p.waits)
		p.waits = workers.None
	}
}

// probeOutOfTurn makes pairs due, within the allowance of the reason.
func (s *Schedule) probeOutOfTurn(now time.Duration, why pace.Reason, pairs ...*pair) {
	spread := pace.AllowanceOf(why, s.workers.Limit).Spread(len(pairs), s.timing.ClusterFactor())
	for _, p := range pairs {
		s.hasten(p, now+pace.Share(spread, p.phase))
	}
}

// request has a subject probed as soon as the allowance of the reason admits. It reports
// whether that was not asked for before.
func (s *Schedule) request(now time.Duration, of pace.Subject, changed netip.AddrPort) bool {
	fresh := s.requests.Add(now, of, changed)
	s.carryOut(now, of)
	return fresh
}

// carryOut carries out a request that is due.
func (s *Schedule) carryOut(now time.Duration, of pace.Subject) {
	r := s.requests[of]
	switch {
	case r.Due > now:
	case of.Why == pace.CheckSelf:
		s.requests.Done(now, of, s.sweepForCheck(now))
	case of.Why == pace.SweepNode:
		s.requests.Done(now, of, s.sweepNode(now, r.Changed))
	default:
		s.requests.Done(now, of, s.recheckEndpoints(now, of.Port))
	}
}

// trouble takes note that p, which was reached, did not answer in time, or
// failed.
func (s *Schedule) trouble(now time.Duration, p *pair) {
	if p.troubled || !s.foreign(p.address) {
		return
	}
	p.troubled = true
	p.row.troubled = now
	s.startDiagnosing(p)
	if s.check.Suspect(now, p.target()) {
		s.request(now, pace.Subject{Why: pace.CheckSelf}, p.target())
	}
}

// sweepForCheck makes pairs of other nodes due: up to a half of the port in trouble, then
// those of apps that were in trouble the longest ago, if ever. So apps that fall
// silent again and again are not asked about each other.
func (s *Schedule) sweepForCheck(now time.Duration) int {
	if !s.check.Open() {
		return 0
	}
	usable := func(p *pair) bool {
		return p.state == reached && p.inFlight == 0 && s.foreign(p.address)
	}
	var chosen []*pair
	port := s.check.First().Port()
	if r, ok := s.rows[port]; ok {
		chosen = r.where(usable)
		chosen = chosen[:min(len(chosen), selfcheck.SweepSize/2)]
	}
	chosen = append(chosen, s.calmest(selfcheck.SweepSize-len(chosen), func(p *pair) bool {
		return usable(p) && p.row.service.Port != port
	})...)
	s.check.Sweep()
	for _, p := range chosen {
		s.check.Await(p.target())
	}
	s.probeOutOfTurn(now, pace.CheckSelf, chosen...)
	return len(chosen)
}

// calmest returns, among those that usable picks, the n pairs of which the apps
// were in trouble the longest ago, and of these the ones that are due first.
func (s *Schedule) calmest(n int, usable func(*pair) bool) (first []*pair) {
	order := func(a, b *pair) int {
		return cmp.Or(cmp.Compare(a.row.troubled, b.row.troubled), cmp.Compare(a.due, b.due))
	}
	for _, p := range s.queue.Items {
		if len(first) < n || order(p, first[n-1]) < 0 {
			if usable(p) {
				at, _ := slices.BinarySearchFunc(first, p, order)
				first = slices.Insert(first, at, p)
				first = first[:min(len(first), n)]
			}
		}
	}
	return first
}

// distrust makes the pairs of other nodes that are still called reached
// pending. It reports whether there were any.
func (s *Schedule) distrust(now time.Duration) bool {
	pendingBefore := s.pending
	var idle []*pair
	for p := range s.all() {
		if p.state == reached && s.foreign(p.address) {
			s.setState(p, pending)
			p.wasReached = true
			if p.inFlight == 0 {
				idle = append(idle, p)
			}
		}
	}
	s.probeOutOfTurn(now, pace.Prove, idle...)
	return s.pending > pendingBefore
}

// scheduleNodeSweep has the other ports of a node probed soon, since p turned.
func (s *Schedule) scheduleNodeSweep(now time.Duration, p *pair) {
	if !s.foreign(p.address) || p.state == translated || p.state == ownHost {
		return
	}
	if !s.request(now, pace.Subject{Why: pace.SweepNode, Address: p.address}, p.target()) || p.state != failing {
		return
	}
	idle := slices.DeleteFunc(s.reachedElsewhere(p.row), func(p *pair) bool { return p.inFlight > 0 })
	s.probeOutOfTurn(now, pace.Compare, idle...)
}

// sweepNode makes those pairs of an address due of which what is known is not what changed
// turned to, or nothing because their dials ended elsewhere. An app that fails everywhere
// says nothing about the others.
func (s *Schedule) sweepNode(now time.Duration, changed netip.AddrPort) int {
	turned := s.pair(changed)
	var outdated state
	switch {
	case turned != nil && turned.state == reached:
		outdated = failing
	case turned != nil && turned.state == failing && len(s.reachedElsewhere(turned.row)) > 0:
		outdated = reached
	default:
		return 0
	}
	var pairs []*pair
	for port := range s.rows {
		p := s.pair(netip.AddrPortFrom(changed.Addr(), port))
		if p.state == outdated || p.state == translated {
			pairs = append(pairs, p)
		}
	}
	s.probeOutOfTurn(now, pace.SweepNode, pairs...)
	return len(pairs) + 1
}

// recheckEndpoints has a Service probed because its endpoints changed. What is known of it
// stays.
func (s *Schedule) recheckEndpoints(now time.Duration, port uint16) int {
	dialled := s.rows[port].where(func(p *pair) bool { return p.state != undialled })
	for _, p := range dialled {
		if p.state == failing {
			p.since = now
		}
	}
	s.probeOutOfTurn(now, pace.RecheckEndpoints, dialled...)
	return len(dialled)
}

func (s *Schedule) startDiagnosing(p *pair) {
	if !p.diagnosing && !s.Outside && s.foreign(p.address) {
		p.diagnosing = true
		s.diagnosis.Start(s.paths(p))
	}
}

func (s *Schedule) stopDiagnosing(p *pair) {
	if p.diagnosing {
		p.diagnosing = false
		s.diagnosis.Stop(s.paths(p))
	}
}

// StartDiagnosis begins a diagnosing probe that is due.
func (s *Schedule) StartDiagnosis(now time.Duration) (diagnosis.Probe, bool) {
	return s.diagnosis.Begin(now)
}

// FinishDiagnosis takes the result of a diagnosing probe, and reports whether it is news.
func (s *Schedule) FinishDiagnosis(now time.Duration, p diagnosis.Probe, result probe.Result) bool {
	return s.diagnosis.Finish(now, p, result, s.timing.ClusterFactor()) && s.explains(p.Path)
}
