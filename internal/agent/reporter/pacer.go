package reporter

import (
	"time"

	"github.com/exposedapp/exposedapp/internal/protocol"
)

const (
	// Debounce gathers what comes in a burst into one report.
	Debounce = 100 * time.Millisecond

	// newPairsDelay is how long news waits for the first result of new pairs, so that
	// a new Service is not reported as pending, and then again as reached.
	newPairsDelay = 2 * time.Second

	// writeTimeout is how long a write may take on a small cluster before it counts as
	// failed.
	writeTimeout = 10 * time.Second

	// firstRetry is the pause after a failed write. It doubles, up to the
	// heartbeat divided by lastRetry.
	firstRetry = 500 * time.Millisecond
	lastRetry  = 5
)

// Never is later than anything.
const Never = time.Duration(1<<63 - 1)

// Pacer decides when to write a report: soon after a change, and otherwise once
// per heartbeat.
type Pacer struct {
	heartbeat time.Duration

	// random returns a number from 0 to 1. It keeps agents from writing all at
	// the same time.
	random func() float64

	// urgent and routine are when the first change after the last report came:
	// urgent if the state of a pair turned, routine for all else. Never
	// without such a change.
	urgent, routine time.Duration

	// renewAt is when the report is to be renewed, notBefore the earliest time at which
	// the next change may be written, retryAt when a failed write may be tried again.
	renewAt, notBefore, retryAt time.Duration

	// pause is the time from a failed write to its retry.
	pause time.Duration

	begun bool
}

// NewPacer returns the Pacer of an agent that just started. random returns a number
// from 0 to 1.
func NewPacer(random func() float64) Pacer {
	return Pacer{heartbeat: protocol.PromptHeartbeat, random: random, urgent: Never, routine: Never, renewAt: Never}
}

// Follow takes the heartbeat to keep from now on.
func (p *Pacer) Follow(now, heartbeat time.Duration) {
	p.heartbeat = heartbeat
	p.notBefore = min(p.notBefore, now+p.distance())
	if p.begun {
		p.renewAt = min(p.renewAt, now+heartbeat)
	}
}

// Note records a change at now, and whether the state of a pair turned.
func (p *Pacer) Note(now time.Duration, turned bool) {
	scatter := time.Duration(p.random() * float64(p.spread()))
	if turned {
		p.urgent = min(p.urgent, now+scatter/5)
	} else {
		p.routine = min(p.routine, now+scatter)
	}
}

// Begun reports whether a report was written since the agent started.
func (p *Pacer) Begun() bool {
	return p.begun
}

// NoteRechecked records that a recheck was carried out. The operator waits for the
// answer, so it is held back for a fifth of the usual time. The first report waits for
// all pairs anyway.
func (p *Pacer) NoteRechecked(now time.Duration) {
	p.Note(now-Debounce*4/5, p.begun)
}

// Restart makes the pacer begin as it did when the agent started.
func (p *Pacer) Restart(now time.Duration) {
	p.Forget()
	p.begun, p.renewAt, p.notBefore = false, Never, 0
	p.Note(now, false)
}

// Forget drops the changes of a time in which there was nothing to report to.
func (p *Pacer) Forget() {
	p.urgent, p.routine = Never, Never
}

// distance returns the least time from one change to the next.
func (p *Pacer) distance() time.Duration {
	return min(p.heartbeat, protocol.PromptHeartbeat)/10 + p.spread()
}

// spread returns the time over which all agents spread the writes that they have
// reason to make at once, as after a new Service. It grows with the number of agents,
// so that together they make no more than about 100 writes per second.
func (p *Pacer) spread() time.Duration {
	return (p.heartbeat - min(p.heartbeat, protocol.PromptHeartbeat)) / 6
}

// Due returns when to write. settled is whether every pair has had its first
// result.
func (p *Pacer) Due(settled bool) time.Duration {
	return max(p.retryAt, min(p.renewAt, max(p.notBefore, p.changeDue(settled))))
}

func (p *Pacer) changeDue(settled bool) time.Duration {
	routine := p.routine
	switch {
	case routine == Never:
	case settled:
		routine += Debounce
	case p.begun:
		routine += newPairsDelay
	default:
		// The report of the agent that ran here before still counts. Until it
		// is stale, one that says pending everywhere is no better.
		routine += p.heartbeat
	}
	if p.urgent == Never {
		return routine
	}
	return min(routine, p.urgent+Debounce)
}

// WriteTimeout returns how long a write may take before it counts as failed. It grows
// with the number of agents that wait for the same API server: a write that is given up
// too early only has to be made again.
func (p *Pacer) WriteTimeout() time.Duration {
	return writeTimeout + p.spread()/2
}

// Write begins a write at now.
func (p *Pacer) Write(now time.Duration) {
	if p.urgent != Never || p.routine != Never {
		p.notBefore = now + p.distance()
	}
	p.Forget()
}

// Wrote ends a write that succeeded.
func (p *Pacer) Wrote(now time.Duration) {
	p.begun = true
	p.retryAt, p.pause = 0, 0
	p.renewAt = now + p.heartbeat - time.Duration(p.random()*float64(p.heartbeat)/10)
}

// Failed ends a write that failed.
func (p *Pacer) Failed(now time.Duration) {
	p.pause = min(max(firstRetry, 2*p.pause), p.heartbeat/lastRetry)
	p.retryAt = now + p.pause - time.Duration(p.random()*float64(p.pause)/2)
	p.renewAt = p.retryAt
}
