package main

import (
	"context"
	"fmt"
	"time"
)

// A process is at rest when it used less than this much CPU in this long. An
// operator with nothing to do has a few timers that go off each second.
const (
	restTime = time.Second
	restCPU  = 30 * time.Millisecond
)

// atRest waits until a process is at rest, and returns since when it is.
func atRest(ctx context.Context, p *process, atMost time.Duration) (time.Time, error) {
	deadline := time.Now().Add(atMost)
	since := time.Now()
	base, err := p.cpu()
	for err == nil {
		if err = sleep(ctx, 10*time.Millisecond); err != nil {
			break
		}
		var used time.Duration
		if used, err = p.cpu(); err != nil {
			break
		}
		now := time.Now()
		switch {
		case used-base > restCPU:
			since, base = now, used
		case now.Sub(since) >= restTime:
			return since, nil
		case now.After(deadline):
			err = fmt.Errorf("%s is still at work after %s", p.name, atMost)
		}
	}
	return time.Time{}, err
}
