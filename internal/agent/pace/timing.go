package pace

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"time"

	"github.com/exposedapp/exposedapp/internal/agent/workers"
	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

const (
	// HedgeDelay is how long a probe may stay without an answer until the next
	// is started while it is under way. Silence, which takes the whole timeout to become
	// a failure, is thus confirmed this much after the first timeout, not a second
	// timeout after it. A lost packet does no harm: the hedge answers for it.
	HedgeDelay = workers.SlowAfter

	// ConfirmDelay is the time from a failure to the probe that confirms it, and
	// ConfirmNewDelay that for a pair without a result: proxies on other nodes learn of
	// a new Service when this agent does, and may need a moment more.
	ConfirmDelay    = 100 * time.Millisecond
	ConfirmNewDelay = time.Second

	// A failing pair is probed MinFailingPeriod after the last failure at first, and then
	// ever more slowly: every slowdown-th part of the time that it has been
	// failing, until that is its period.
	MinFailingPeriod = time.Second
	slowdown         = 6

	// slot is what the times of regular probes are multiples of. To wake for each of
	// hundreds per second costs more than half of what a probe does.
	slot = 20 * time.Millisecond

	// grace is how much later than planned a result may be.
	grace = time.Second
)

// Timing says when regular probes are due, within the budgets of apps and agent.
type Timing struct {
	Heartbeat time.Duration
	// Size is that of the cluster, in nodes.
	Size int
	// Turns are the node's turns in the periods of the addresses, as fractions of 2³².
	Turns map[netip.Addr]uint32

	// BudgetFactor is the factor on all periods that keeps the agent's budget, and
	// load the number of probes per second that the budgets of the apps leave.
	BudgetFactor float64
	load         float64
}

// NewTiming returns the timing of an agent without apps on a small cluster.
func NewTiming() Timing {
	return Timing{Heartbeat: protocol.PromptHeartbeat, Size: 1, BudgetFactor: 1}
}

// AddLoad adds to the load an app that declares a period and is dialled on that many
// addresses, or takes it off with sign -1.
func (t *Timing) AddLoad(declared time.Duration, dialled int, sign float64) {
	t.load += sign * float64(dialled) / budget.Period(declared, t.Size, dialled).Seconds()
	t.BudgetFactor = max(1, t.load/budget.PerAgent)
}

// ClearLoad takes all apps off the load.
func (t *Timing) ClearLoad() {
	t.load = 0
}

// Period returns the time between two probes of an address that an app is reached on.
func (t *Timing) Period(declared time.Duration, dialled int) time.Duration {
	return time.Duration(float64(budget.Period(declared, t.Size, dialled)) * t.BudgetFactor)
}

// FailingPeriod returns the same while it fails, for so long already.
func (t *Timing) FailingPeriod(failing, declared time.Duration, dialled int) time.Duration {
	return min(failing/slowdown, t.Period(declared, dialled))
}

// Cycle returns how long a result is current: until its next turn has come, and the probes
// of that have ended.
func (t *Timing) Cycle(settings protocol.Probe, dialled int) time.Duration {
	return t.Period(settings.Period, dialled) + settings.Timeout + time.Duration(settings.Threshold)*HedgeDelay + grace
}

// ClusterFactor is the factor by which to draw out what all agents have reason to do at
// once, or what this one has much of. The operator lengthens the heartbeat as the
// cluster grows.
func (t *Timing) ClusterFactor() float64 {
	return max(t.BudgetFactor, t.Heartbeat.Seconds()/protocol.PromptHeartbeat.Seconds())
}

// NextTurn returns the next instant, after now, at which the phase in a period comes. The
// phases of all targets are spread over the slots of the period.
func NextTurn(now, period time.Duration, phase uint32) time.Duration {
	offset := Share(period, phase)
	turn := now + period - (now-offset+period)%period
	return turn + (slot-turn%slot)%slot
}

// Share returns part/2³² of d.
func Share(d time.Duration, part uint32) time.Duration {
	return time.Duration(float64(d) * (float64(part) / (1 << 32)))
}

// Phase is where in its period a target is probed, as a fraction of 2³². It is the same
// after every restart. The phases of all who dial a target are evenly spread over the
// period, so that however long that is, the target is dialled as often as its observers
// are many.
func (t *Timing) Phase(target netip.AddrPort) uint32 {
	hash := fnv.New64a()
	address := target.Addr().As16()
	// A hash takes every write.
	_, _ = hash.Write(address[:])
	_, _ = hash.Write(binary.BigEndian.AppendUint16(nil, target.Port()))
	// The high half of FNV hardly depends on the last bytes; fold and spread.
	sum := hash.Sum64()
	sum ^= sum >> 32
	return uint32(sum*0x9e3779b97f4a7c15>>32) + t.Turns[target.Addr()]
}
