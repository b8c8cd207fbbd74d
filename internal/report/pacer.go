package report

import "time"

const (
	// SmallCluster is the heartbeat of a small cluster. The longer it is, the
	// more agents there are, and the further they spread what all of them have
	// reason to do at once.
	SmallCluster = 10 * time.Second

	// Debounce gathers what comes in a burst into one report.
	Debounce = 100 * time.Millisecond

	// holdTime is how long news waits for the first proof of new pairs, so that
	// a new Service is not reported as pending, and then again as reached.
	holdTime = 2 * time.Second

	// writeTime is how long a write may take on a small cluster before it counts as
	// failed.
	writeTime = 10 * time.Second

	// firstRetry is the pause after a failed write. It doubles, up to the
	// heartbeat divided by lastRetry.
	firstRetry = 500 * time.Millisecond
	lastRetry  = 5
)

// Never is later than anything.
const Never = time.Duration(1<<63 - 1)

// Pacer decides when to write a report: soon after a change, and otherwise once
// per heartbeat. It is the agent's memory of what was written and what was not.
type Pacer struct {
	heartbeat time.Duration

	// random returns a number from 0 to 1. It keeps agents from writing all at
	// the same time.
	random func() float64

	// urgent and calm are when the first change after the last report came:
	// urgent where what is known of a pair turned, calm for all else. Never
	// without such a change.
	urgent, calm time.Duration

	// beat is when the report is to be renewed, gap when the next change may be
	// written, retry when a failed write may be tried again.
	beat, gap, retry time.Duration

	// pause is the time from a failure to its retry.
	pause time.Duration

	begun bool
}

// NewPacer returns the Pacer of an agent that just started. random returns a number
// from 0 to 1.
func NewPacer(random func() float64) Pacer {
	return Pacer{heartbeat: SmallCluster, random: random, urgent: Never, calm: Never, beat: Never}
}

// Follow takes the heartbeat to keep from now on.
func (p *Pacer) Follow(now, heartbeat time.Duration) {
	p.heartbeat = heartbeat
	p.gap = min(p.gap, now+p.distance())
	if p.begun {
		p.beat = min(p.beat, now+heartbeat)
	}
}

// Note takes a change at now, and whether what is known of a pair turned.
func (p *Pacer) Note(now time.Duration, turned bool) {
	scatter := time.Duration(p.random() * float64(p.crowded()))
	if turned {
		p.urgent = min(p.urgent, now+scatter/5)
	} else {
		p.calm = min(p.calm, now+scatter)
	}
}

// Begun tells whether a report was written since the agent started.
func (p *Pacer) Begun() bool {
	return p.begun
}

// Restart makes the pacer begin as it did when the agent started.
func (p *Pacer) Restart(now time.Duration) {
	p.Forget()
	p.begun, p.beat, p.gap = false, Never, 0
	p.Note(now, false)
}

// Forget drops the changes of a time in which there was nothing to report to.
func (p *Pacer) Forget() {
	p.urgent, p.calm = Never, Never
}

// distance returns the least time from one change to the next.
func (p *Pacer) distance() time.Duration {
	return min(p.heartbeat, SmallCluster)/10 + p.crowded()
}

// crowded returns the time over which all agents spread what all of them see at
// once, such as a new Service: the more there are, the longer, so that together
// they make no more than about 100 writes per second.
func (p *Pacer) crowded() time.Duration {
	return (p.heartbeat - min(p.heartbeat, SmallCluster)) / 6
}

// Due returns when to write. settled is whether every pair has had its first
// proof.
func (p *Pacer) Due(settled bool) time.Duration {
	return max(p.retry, min(p.beat, max(p.gap, p.changeDue(settled))))
}

func (p *Pacer) changeDue(settled bool) time.Duration {
	calm := p.calm
	switch {
	case calm == Never:
	case settled:
		calm += Debounce
	case p.begun:
		calm += holdTime
	default:
		// The report of the agent that ran here before still stands. Until it
		// is old, one that says pending everywhere is no better.
		calm += p.heartbeat
	}
	if p.urgent == Never {
		return calm
	}
	return min(calm, p.urgent+Debounce)
}

// Patience returns how long a write may take before it counts as failed: the longer, the
// more agents wait for the same API server. To give up what it was about to do would
// only have it do that again.
func (p *Pacer) Patience() time.Duration {
	return writeTime + p.crowded()/2
}

// Write begins a write at now.
func (p *Pacer) Write(now time.Duration) {
	if p.urgent != Never || p.calm != Never {
		p.gap = now + p.distance()
	}
	p.Forget()
}

// Wrote ends a write that succeeded.
func (p *Pacer) Wrote(now time.Duration) {
	p.begun = true
	p.retry, p.pause = 0, 0
	p.beat = now + p.heartbeat - time.Duration(p.random()*float64(p.heartbeat)/10)
}

// Failed ends a write that failed.
func (p *Pacer) Failed(now time.Duration) {
	p.pause = min(max(firstRetry, 2*p.pause), p.heartbeat/lastRetry)
	p.retry = now + p.pause - time.Duration(p.random()*float64(p.pause)/2)
	p.beat = p.retry
}
