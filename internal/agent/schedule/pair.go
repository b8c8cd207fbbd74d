package schedule

import (
	"net/netip"
	"time"

	"github.com/exposedapp/exposedapp/internal/agent/diagnosis"
	"github.com/exposedapp/exposedapp/internal/agent/pace"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/agent/workers"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// never is later than anything.
const never = workers.Never

// state is what is known of a pair.
type state uint8

const (
	pending    state = iota // no result yet
	reached                 // the last probe was answered
	failing                 // at least failureThreshold probes in a row were not
	undialled               // the Service lacks the address's IP family
	translated              // the kernel took the last probe elsewhere
	ownHost                 // the address is, by whatever name, this host's own
)

// pair is one address and one node port. Every pair is at all times in a line of this
// table, and the tests check that after each step:
//
//	state       failed       hedged             may be set
//	pending     ≤ threshold  if it wasReached   troubled; if it wasReached, diagnosing
//	reached     < threshold  yes                troubled, diagnosing
//	failing     = threshold  no                 result always, diagnosing always but on
//	                                            the own node, troubled, podless
//	translated  < threshold  yes                detour
//	ownHost     < threshold  no
//	undialled   0            no
//
// A pair is diagnosing only while it fails or is troubled. One that is not hedged has no
// probe started while another is under way; it is probed again after that. A pair that is
// dialled is in the queue, or waits for a worker, or has a probe under way; none is in the
// queue and waits as well.
type pair struct {
	row     *row
	address netip.Addr

	// result is why a failing pair fails.
	result probe.Result

	// detour is where the probes of a translated pair end, nil if that is not known.
	detour *diagnosis.Detour

	// since is when a failing pair began to fail, or, if that was later, when it
	// was given reason to recover.
	since time.Duration

	// started is when the newest probe began.
	started time.Duration

	// due is when the next probe starts, or was to, if the pair is queued or waits.
	due time.Duration

	// expires is when the result of the pair is too old to be reported: by then the
	// next probes should have one.
	expires time.Duration

	// round is carried by the probes of the pair. Those of an earlier round
	// count no more: they began before a success, or with an older Service.
	round uint64

	// place is where in the queue the pair is.
	place int32

	// phase is the pair's share of its period at which it is probed, as a fraction of 2³².
	phase uint32

	state state

	// waits is the lane in which the pair waits for a worker, or None.
	waits workers.Lane

	// way is that of the last probe of which it was seen.
	way probe.Way

	// failed are the failures in a row, and inFlight the probes under way, of this round.
	failed, inFlight uint8

	// slow is whether the last answer took so long that the lack of one says little.
	slow bool
	// troubled is whether the pair failed to answer in this round.
	troubled bool
	// wasReached is whether a pending pair was reached before a self-check failed.
	wasReached bool
	// diagnosing is whether evidence about the pair is gathered.
	diagnosing bool
	// podless is whether it fails for want of a pod.
	podless bool
	// tardy is whether the last probe, whatever it found, held its worker for long.
	tardy bool
	// again is whether the next probe follows the one under way at once.
	again bool
}

// row is a Service and its pairs, one for each address of the schedule.
type row struct {
	service service.Service
	pairs   []pair

	// dialled is the number of pairs that are.
	dialled int

	// opens is when the first probe may be.
	opens time.Duration

	// changed is when the endpoints changed last.
	changed time.Duration

	// troubled is when a pair was last in trouble, 0 if none was.
	troubled time.Duration

	// app is what the workers keep of the row.
	app workers.App
}

// where returns the pairs that keep picks.
func (r *row) where(keep func(*pair) bool) (kept []*pair) {
	for i := range r.pairs {
		if p := &r.pairs[i]; keep(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// longestWaiting returns the pair that waits the longest in a lane, of which there is one.
func (r *row) longestWaiting(l workers.Lane) *pair {
	var first *pair
	for i := range r.pairs {
		if p := &r.pairs[i]; p.waits == l && (first == nil || p.due < first.due) {
			first = p
		}
	}
	return first
}

func (p *pair) target() netip.AddrPort {
	return netip.AddrPortFrom(p.address, p.row.service.Port)
}

// hedged reports whether a probe of p without an answer has another started while it is
// under way. One without an answer from where a translation ends is as good as any other.
func (p *pair) hedged() bool {
	return p.state == reached || p.state == translated || p.wasReached
}

// silent reports whether p was probed and did not answer in time.
func (p *pair) silent(now time.Duration) bool {
	return p.state == failing || p.troubled || p.inFlight > 1 || p.inFlight == 1 && now-p.started >= pace.HedgeDelay
}

// stale reports whether the result of a pair is older than its cycle, and so is not
// reported.
func (p *pair) stale(now time.Duration) bool {
	return (p.state == reached || p.state == failing) && now > p.expires
}

// lane returns the lane of the next probe of p.
func (p *pair) lane() workers.Lane {
	switch {
	case p.inFlight > 0 || p.tardy:
		return p.row.app.SlowLane()
	case p.state == reached, p.state == translated:
		return workers.Steady
	}
	return workers.Unsure
}

// confirmDelay returns the time from a failure to the probe that confirms it.
func (p *pair) confirmDelay() time.Duration {
	if p.state == pending && !p.wasReached {
		return pace.ConfirmNewDelay
	}
	return pace.ConfirmDelay
}

// gap returns why a pair that does not fail is pending.
func (p *pair) gap() reporter.Gap {
	switch {
	case p.state == ownHost:
		return reporter.Gap{Outcome: protocol.OwnHost}
	case p.state == translated && p.detour != nil:
		return reporter.Gap{Outcome: protocol.Translated, TranslatedTo: p.detour.To}
	case p.state == translated:
		return reporter.Gap{Outcome: protocol.Translated}
	}
	return reporter.Gap{}
}
