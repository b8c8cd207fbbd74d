package main

import (
	"context"
	"os"
	"regexp"
	"syscall"
	"time"
)

// allNodePorts is the size of the default range.
const allNodePorts = 2768

// agentAtScale runs the agent with as much to do as it can have: an app on every
// node port of the default range, on eight neighbours and its own node.
func agentAtScale(ctx context.Context, b *bench) error {
	size := siteSize{nodes: pick(b, 9, 3), apps: pick(b, allNodePorts, 10), period: pick(b, 5*time.Second, 2*time.Second)}
	s, err := newSite(ctx, b, size)
	if err != nil {
		return err
	}
	b.logf("starting the agent")
	p, err := s.startAgent(ctx, b)
	if err != nil {
		return err
	}
	waiting, err := timeWait()
	if err != nil {
		return err
	}
	// A socket stays in TIME_WAIT for a minute, so none of those that come is
	// missed.
	while := pick(b, 50*time.Second, 2*time.Second)
	b.logf("measuring for %s", while)
	resident, err := s.watchAgent(ctx, b, p, while)
	if err != nil {
		return err
	}
	after, err := timeWait()
	if err != nil {
		return err
	}
	goroutines, err := p.goroutines()
	if err != nil {
		return err
	}
	b.report("agent_resident_mib", "MiB", resident...)
	b.report("agent_goroutines", "goroutines", float64(goroutines))
	b.report("agent_time_wait", "sockets", float64(after-waiting))
	return nil
}

// watchAgent measures what the agent does in a while, and returns its memory, in
// MiB, once a second.
func (s *site) watchAgent(ctx context.Context, b *bench, p *process, while time.Duration) (resident []float64, err error) {
	served, began := s.nodes.served.Load(), time.Now()
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	for time.Since(began) < while {
		if err := sleep(ctx, time.Second); err != nil {
			return nil, err
		}
		size, err := p.resident()
		if err != nil {
			return nil, err
		}
		resident = append(resident, size/(1<<20))
	}
	after, err := p.cpu()
	if err != nil {
		return nil, err
	}
	passed := time.Since(began).Seconds()
	b.report("agent_cpu", "cores", (after-before).Seconds()/passed)
	b.report("agent_probes_per_second", "probes/s", float64(s.nodes.served.Load()-served)/passed)
	return resident, nil
}

// goroutines ends a Go program as a crash would, and returns how many goroutines
// it had.
func (p *process) goroutines() (int, error) {
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return 0, err
	}
	<-p.ended
	stacks, err := os.ReadFile(p.log)
	return countGoroutines(stacks), err
}

// countGoroutines counts the stacks that a Go program leaves behind.
func countGoroutines(stacks []byte) int {
	return len(regexp.MustCompile(`(?m)^goroutine \d+ .*\[.*\]:$`).FindAll(stacks, -1))
}
