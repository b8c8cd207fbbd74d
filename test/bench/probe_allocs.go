package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/sockdiag"
)

// allocations are what an agent has done and allocated since it started.
type allocations struct {
	Probes, Objects, Bytes uint64
}

// countedProber counts probes.
type countedProber struct {
	agent.Prober
	count atomic.Uint64
}

func (c *countedProber) Probe(ctx context.Context, target probe.Target) probe.Result {
	c.count.Add(1)
	return c.Prober.Probe(ctx, target)
}

// agentOnSignal is the agent, and prints its allocations at each SIGUSR1.
func agentOnSignal(ctx context.Context, _ []string) error {
	rest, err := config.GetConfig()
	if err != nil {
		return err
	}
	client, err := agent.NewClient(rest, "unknown")
	if err != nil {
		return err
	}
	kernel, err := sockdiag.Open()
	if err != nil {
		return err
	}
	prober := &countedProber{Prober: probe.New(sockdiag.NewDialer(kernel), v1alpha1.AgentName+"/unknown")}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			var memory runtime.MemStats
			runtime.ReadMemStats(&memory)
			// There is nobody to tell that nobody listens.
			_ = json.NewEncoder(os.Stdout).Encode(allocations{prober.count.Load(), memory.Mallocs, memory.TotalAlloc})
		}
	}()
	(&agent.Agent{Client: client, NodeName: agentNode, Prober: prober, Workers: 128}).Run(ctx)
	return nil
}

// measureAllocations measures what the agent allocates per probe, its reports and
// all else included.
func (s *site) measureAllocations(ctx context.Context, b *bench) error {
	started := time.Now()
	p, err := startSubject(ctx, b, agentSubject, s.agentVariables())
	if err != nil {
		return err
	}
	if err := s.awaitAgent(ctx, p, started); err != nil {
		return err
	}
	for _, while := range []time.Duration{pick(b, 2*time.Second, time.Second), 4 * s.period} {
		if err := sleep(ctx, while); err != nil {
			return err
		}
		if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			return err
		}
	}
	var counts []allocations
	if err := await(ctx, "two counts of allocations", 10*time.Second, func() (bool, error) {
		counts, err = readAllocations(p.log)
		return len(counts) == 2, err
	}); err != nil {
		return err
	}
	probes := float64(counts[1].Probes - counts[0].Probes)
	b.report("probe_allocs", "objects/probe", float64(counts[1].Objects-counts[0].Objects)/probes)
	b.report("probe_alloc_bytes", "B/probe", float64(counts[1].Bytes-counts[0].Bytes)/probes)
	return p.stop()
}

// readAllocations reads what agentOnSignal printed, among what it logged.
func readAllocations(path string) ([]allocations, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var counts []allocations
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if !bytes.HasPrefix(lines.Bytes(), []byte("{")) {
			continue
		}
		var count allocations
		if err := json.Unmarshal(lines.Bytes(), &count); err != nil {
			return nil, fmt.Errorf("reading allocations: %w", err)
		}
		counts = append(counts, count)
	}
	return counts, nil
}
