package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// The subjects that dial what the agent dials, each in another way.
const (
	loopSubject      = "probe-loop"
	goroutineSubject = "probe-goroutines"
	agentSubject     = "probe-agent"
)

// dialPlan is what a subject dials: every node port from First to Last on every
// address, each once per period.
type dialPlan struct {
	Addresses   []netip.Addr
	First, Last uint16
	Period      time.Duration
	UserAgent   string
}

// probeCost measures the CPU time that the agent takes per probe, everything else
// that it does included, beside that of two other programs that make as many
// requests per second of the same targets: one loop around a client of net/http,
// and a goroutine with a ticker for each target, in the way of the exporters that
// make such probes.
func probeCost(ctx context.Context, b *bench) error {
	// As many probes per second as the agent may make.
	size := siteSize{nodes: pick(b, 9, 3), apps: pick(b, 277, 10), period: pick(b, 5*time.Second, 2*time.Second)}
	s, err := newSite(ctx, b, size)
	if err != nil {
		return err
	}
	cost := map[string][]float64{}
	order := []string{"agent", loopSubject, goroutineSubject, goroutineSubject, loopSubject, "agent"}
	for trial := range pick(b, 5, 1) {
		sum := map[string]float64{}
		for _, subject := range order {
			each, err := s.costOf(ctx, b, subject)
			if err != nil {
				return err
			}
			b.logf("trial %d: %s takes %.1f µs per probe", trial+1, subject, each)
			sum[subject] += each / 2
		}
		for subject, each := range sum {
			cost[subject] = append(cost[subject], each)
		}
	}
	b.report("probe_cpu_ratio", "×", ratios(cost["agent"], cost[loopSubject])...)
	b.report("probe_cpu_ratio_goroutines", "×", ratios(cost["agent"], cost[goroutineSubject])...)
	b.report("probe_cpu_agent", "µs/probe", cost["agent"]...)
	b.report("probe_cpu_loop", "µs/probe", cost[loopSubject]...)
	b.report("probe_cpu_goroutines", "µs/probe", cost[goroutineSubject]...)
	return s.measureAllocations(ctx, b)
}

func ratios(over, under []float64) []float64 {
	var ratios []float64
	for i := range over {
		ratios = append(ratios, over[i]/under[i])
	}
	return ratios
}

// costOf returns the CPU time per probe of a program, in microseconds, once it
// does nothing but probe.
func (s *site) costOf(ctx context.Context, b *bench, subject string) (each float64, err error) {
	var p *process
	if subject == "agent" {
		p, err = s.startAgent(ctx, b)
	} else {
		p, err = s.startDialling(ctx, b, subject)
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	// What is left of the start, such as its garbage, goes first.
	if err := sleep(ctx, pick(b, 2*time.Second, time.Second)); err != nil {
		return 0, err
	}
	// Two periods, and one heartbeat of the agent.
	return s.cost(ctx, p, 2*s.period)
}

// startDialling starts a subject that is given all that there is to dial.
func (s *site) startDialling(ctx context.Context, b *bench, subject string) (*process, error) {
	plan, err := json.Marshal(dialPlan{
		Addresses: s.nodes.addresses, First: firstNodePort, Last: s.last, Period: s.period,
		// As the agent calls itself in a build without a version.
		UserAgent: v1alpha1.AgentName + "/unknown",
	})
	if err != nil {
		return nil, err
	}
	// The agent's variables bound how many threads run at a time, and its memory,
	// which is not to be what the others spend their time on.
	return startSubject(ctx, b, subject, slices.Concat(s.environment, []string{"GOMEMLIMIT=off"}), string(plan))
}

// cost returns the CPU time per probe of a running program, in microseconds.
func (s *site) cost(ctx context.Context, p *process, while time.Duration) (float64, error) {
	served := s.nodes.served.Load()
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, while); err != nil {
		return 0, err
	}
	after, err := p.cpu()
	if err != nil {
		return 0, err
	}
	return float64((after - before).Microseconds()) / float64(s.nodes.served.Load()-served), p.alive()
}
