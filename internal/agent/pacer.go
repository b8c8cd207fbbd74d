package agent

import (
	"time"
)

const (
	// debounce gathers what comes in a burst into one report.
	debounce = 100 * time.Millisecond

	// holdTime is how long news waits for the first proof of new pairs, so that
	// a new Service is not reported as pending, and then again as reached.
	holdTime = 2 * time.Second

	// firstRetry is the pause after a failed write. It doubles, up to the
	// heartbeat divided by lastRetry.
	firstRetry = 500 * time.Millisecond
	lastRetry  = 5
)

// never is later than anything.
const never = time.Duration(1<<63 - 1)

// pacer decides when to write a report: soon after a change, and otherwise once
// per heartbeat. It is the agent's memory of what was written and what was not.
type pacer struct {
	heartbeat time.Duration

	// random returns a number from 0 to 1. It keeps agents from writing all at
	// the same time.
	random func() float64

	// urgent and calm are when the first change after the last report came:
	// urgent where what is known of a pair turned, calm for all else. never
	// without such a change.
	urgent, calm time.Duration

	// beat is when the report is to be renewed, gap when the next change may be
	// written, retry when a failed write may be tried again.
	beat, gap, retry time.Duration

	// pause is the time from a failure to its retry.
	pause time.Duration

	// begun is whether a report was written since the agent started.
	begun bool
}

func newPacer(random func() float64) pacer {
	return pacer{heartbeat: smallCluster, random: random, urgent: never, calm: never, beat: never}
}

// follow takes the heartbeat to keep from now on.
func (p *pacer) follow(now, heartbeat time.Duration) {
	p.heartbeat = heartbeat
	p.gap = min(p.gap, now+heartbeat/10)
	if p.begun {
		p.beat = min(p.beat, now+heartbeat)
	}
}

// note takes a change at now.
func (p *pacer) note(now time.Duration, turned bool) {
	at := now + p.scatter()
	if turned {
		p.urgent = min(p.urgent, at)
	} else {
		p.calm = min(p.calm, at)
	}
}

// restart makes the pacer begin as it did when the agent started.
func (p *pacer) restart(now time.Duration) {
	p.forget()
	p.begun, p.beat, p.gap = false, never, 0
	p.note(now, false)
}

// forget drops the changes of a time in which there was nothing to report to.
func (p *pacer) forget() {
	p.urgent, p.calm = never, never
}

// scatter returns how long to keep a change back. All agents see the same
// change at the same time: the more there are, the further they must spread.
func (p *pacer) scatter() time.Duration {
	return time.Duration(p.random() * float64(p.heartbeat-min(p.heartbeat, smallCluster)) / 30)
}

// due returns when to write. settled is whether every pair has had its first
// proof.
func (p *pacer) due(settled bool) time.Duration {
	return max(p.retry, min(p.beat, max(p.gap, p.changeDue(settled))))
}

func (p *pacer) changeDue(settled bool) time.Duration {
	calm := p.calm
	switch {
	case calm == never:
	case settled:
		calm += debounce
	case p.begun:
		calm += holdTime
	default:
		// The report of the agent that ran here before still stands. Until it
		// is old, one that says pending everywhere is no better.
		calm += p.heartbeat
	}
	if p.urgent == never {
		return calm
	}
	return min(calm, p.urgent+debounce)
}

// write begins a write at now.
func (p *pacer) write(now time.Duration) {
	if p.urgent != never || p.calm != never {
		p.gap = now + p.heartbeat/10
	}
	p.forget()
}

// wrote ends a write that succeeded.
func (p *pacer) wrote(now time.Duration) {
	p.begun = true
	p.retry, p.pause = 0, 0
	p.beat = now + p.heartbeat - time.Duration(p.random()*float64(p.heartbeat)/10)
}

// failed ends a write that failed.
func (p *pacer) failed(now time.Duration) {
	p.pause = min(max(firstRetry, 2*p.pause), p.heartbeat/lastRetry)
	p.retry = now + p.pause - time.Duration(p.random()*float64(p.pause)/2)
	p.beat = p.retry
}
