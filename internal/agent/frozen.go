package agent

import (
	"time"

	"github.com/exposedapp/exposedapp/internal/probe"
)

const (
	// pulse is how often the loop looks at the clock at least.
	pulse = time.Second

	// frozenTime is how long the loop may be without a look at the clock. If it
	// is longer, the process was stopped, and so were its probes: their timeouts
	// are over although nobody waited for an answer.
	frozenTime = 10 * time.Second

	// lateTime is how long it may be before the pairs whose turn was missed are
	// looked at before anything is written, for holdTime.
	lateTime = 2 * pulse
	holdTime = 500 * time.Millisecond
)

// thaw looks at the clock. If the process was stopped, the agent begins anew as
// after a restart.
func (l *loop) thaw(now time.Duration) {
	frozen := now - l.passed
	l.passed = now
	if frozen >= lateTime && l.hold == 0 {
		l.hold = now + holdTime
	}
	if frozen < frozenTime {
		return
	}
	l.log.Info("Beginning anew, because the process did not run for a while", "seconds", int(frozen.Seconds()))
	l.schedule.forget(now)
	l.pacer.Restart(now)
}

// forget makes all pairs pending. Probes under way count no more.
func (s *schedule) forget(now time.Duration) {
	s.doubt.open = false
	s.paths.forget()
	var all []*pair
	for _, r := range s.rows {
		for i := range r.pairs {
			p := &r.pairs[i]
			if p.state == undialled {
				continue
			}
			s.heal(p)
			s.setState(p, pending)
			s.newRound(p)
			p.result, p.doubted, p.way = probe.Result{}, false, probe.Unseen
			all = append(all, p)
		}
	}
	s.hastenAll(now, all)
}
