package agent

import "time"

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
