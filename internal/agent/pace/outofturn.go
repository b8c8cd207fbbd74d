// Package pace decides when pairs are probed, as far as that is a matter of rates: in
// turn, once per period, by a Timing; and out of turn, when an event gives reason to, by
// Requests within the allowances of one table.
//
// All of its types are plain values that take the time as an argument.
package pace

import (
	"net/netip"
	"time"

	"github.com/exposedapp/exposedapp/internal/agent/workers"
	"github.com/exposedapp/exposedapp/internal/budget"
)

// Reason is why pairs are probed out of turn.
type Reason uint8

const (
	CheckSelf        Reason = iota // an answer of another node proves that this one is not in trouble
	Compare                        // a port that fails on one node may fail on others
	SweepNode                      // what happened to one port of a node may have happened to all
	RecheckEndpoints               // the endpoints of an app changed
	Recheck                        // the operator asks, since observers disagree
	Prove                          // earlier results are no longer trusted
	Begin                          // a new pair has no result yet
)

// Allowance is how much may be probed out of turn for one reason.
type Allowance struct {
	// delay is the time from the event to the probes. repeat is whether another event
	// within it has the same probed once more.
	delay  time.Duration
	repeat bool

	// pause is the least time between two times for the same subject, and pausePerPair
	// what each pair adds.
	pause, pausePerPair time.Duration

	// atOnce is how many pairs are probed without a spread, and perPair the spread that
	// each further one adds.
	atOnce  int
	perPair time.Duration

	// observers is the spread over which all observers of an app draw out what they
	// have reason to do at once, times what Timing.ClusterFactor exceeds 1 by.
	observers time.Duration
}

// AllowanceOf is the table of all that is probed out of turn, by an agent of that many
// workers.
func AllowanceOf(why Reason, limit int) Allowance {
	switch why {
	case CheckSelf:
		// 64 pairs per second on average.
		return Allowance{pausePerPair: time.Second / 64}
	case SweepNode:
		// By then the same port of other addresses has been probed.
		return Allowance{delay: 2 * time.Second, pause: 30 * time.Second, perPair: 2 * time.Second / budget.PerAgent}
	case RecheckEndpoints:
		// kube-proxy learns of the change when this agent does, and needs a moment.
		return Allowance{delay: 300 * time.Millisecond, repeat: true, pause: time.Second, observers: 2 * time.Second}
	case Recheck, Prove:
		return Allowance{atOnce: limit, perPair: time.Second / budget.PerAgent}
	case Begin:
		return Allowance{observers: 2 * time.Second}
	}
	return Allowance{}
}

// Spread returns the time over which that many pairs are spread.
func (a Allowance) Spread(pairs int, clusterFactor float64) time.Duration {
	return time.Duration(max(0, pairs-a.atOnce))*a.perPair + time.Duration(float64(a.observers)*(clusterFactor-1))
}

// Subject is what several pairs are probed for: this node, another node, or an app.
type Subject struct {
	Why     Reason
	Address netip.Addr
	Port    uint16
}

// Request is when to probe for a subject.
type Request struct {
	// Due is when, Never if there is no reason to.
	Due time.Duration

	// Changed is the pair that gave reason to first.
	Changed netip.AddrPort

	// asked is when there was reason to last, and notBefore when the pause is over.
	asked, notBefore time.Duration
}

// Requests are those of all subjects, as long as they are due or in their pause.
type Requests map[Subject]Request

// Add asks for a subject, and reports whether that was not asked for before.
func (q Requests) Add(now time.Duration, of Subject, changed netip.AddrPort) bool {
	r, known := q[of]
	fresh := !known || r.Due == workers.Never
	if fresh {
		r.Changed = changed
		r.Due = max(now+AllowanceOf(of.Why, 0).delay, r.notBefore)
	}
	r.asked = now
	q[of] = r
	return fresh
}

// Done takes note that so many pairs were made due for a subject, 0 without a reason to.
func (q Requests) Done(now time.Duration, of Subject, pairs int) {
	r, a := q[of], AllowanceOf(of.Why, 0)
	r.Due = workers.Never
	if pairs > 0 {
		r.notBefore = now + a.pause + time.Duration(pairs)*a.pausePerPair
	}
	if a.repeat && r.asked+a.delay > now {
		r.Due = now + a.pause
	}
	q[of] = r
}

// Prune forgets the subjects whose pause is over.
func (q Requests) Prune(now time.Duration) {
	for of, r := range q {
		if r.Due == workers.Never && r.notBefore <= now {
			delete(q, of)
		}
	}
}

// Deadline returns when the next request is due.
func (q Requests) Deadline() time.Duration {
	due := workers.Never
	for _, r := range q {
		due = min(due, r.Due)
	}
	return due
}

// Rechecks is how far the operator's requests for newer results have come.
type Rechecks struct {
	// Round is that of the newest request, and Done that of the newest that was
	// carried out.
	Round, Done int64

	// open are the targets without a result that is newer than the request, and
	// when that came.
	open map[netip.AddrPort]time.Duration
}

// Begin begins with a request for targets. Those of a former request that are still open
// stay so.
func (r *Rechecks) Begin(now time.Duration, round int64, targets []netip.AddrPort) {
	r.Round = round
	if r.open == nil {
		r.open = map[netip.AddrPort]time.Duration{}
	}
	for _, target := range targets {
		r.open[target] = now
	}
	r.close()
}

// Answer takes note that target has a result of a probe that began at started. It reports
// whether that was before the request, so that a newer one is needed.
func (r *Rechecks) Answer(target netip.AddrPort, started time.Duration) bool {
	asked, ok := r.open[target]
	if !ok || started < asked {
		return ok
	}
	r.Drop(target)
	return false
}

// Drop takes a target off the request.
func (r *Rechecks) Drop(target netip.AddrPort) {
	if _, ok := r.open[target]; ok {
		delete(r.open, target)
		r.close()
	}
}

func (r *Rechecks) close() {
	if len(r.open) == 0 {
		r.Done = r.Round
	}
}
