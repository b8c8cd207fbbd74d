package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"
)

// blackholes measures what targets that swallow every packet cost those that
// answer. The nodes say when each probe came, and the same agent is measured with
// and without.
func blackholes(ctx context.Context, b *bench) error {
	// As many probes per second as the agent may make.
	size := siteSize{nodes: pick(b, 9, 3), apps: pick(b, 277, 10), period: pick(b, 5*time.Second, 2*time.Second)}
	holes := pick(b, 100, 4)
	s, err := newSite(ctx, b, size)
	if err != nil {
		return err
	}
	p, err := s.startAgent(ctx, b)
	if err != nil {
		return err
	}
	var delays, quiets, most []float64
	for trial := range pick(b, 3, 1) {
		b.logf("trial %d: %d black holes", trial+1, holes)
		quiet, dark, err := s.compare(ctx, holes)
		if err != nil {
			return errors.Join(err, p.alive())
		}
		quiets = append(quiets, milliseconds(quantile(quiet, 0.99)))
		delays = append(delays, milliseconds(quantile(dark, 0.99)-quantile(quiet, 0.99)))
		most = append(most, milliseconds(quantile(dark, 1)))
	}
	if err := s.swallow(s.holes(holes)); err != nil {
		return err
	}
	if err := s.awaitFailing(ctx, holes); err != nil {
		return err
	}
	goroutines, err := p.goroutines()
	if err != nil {
		return err
	}
	b.report("blackhole_delay_p99", "ms", delays...)
	b.report("blackhole_lateness_p99_without", "ms", quiets...)
	b.report("blackhole_lateness_max", "ms", most...)
	b.report("blackhole_goroutines", "goroutines", float64(goroutines))
	return nil
}

// compare returns how late the probes of healthy targets come without any black
// hole, and from the moment on in which so many others become one.
func (s *site) compare(ctx context.Context, count int) (quiet, dark []time.Duration, err error) {
	const periods = 5
	while := periods * s.period
	began := time.Now()
	arrivals, err := s.nodes.record(ctx, while)
	if err != nil {
		return nil, nil, err
	}
	turns := turnsOf(arrivals, s.period)
	holes := s.holes(count)
	maps.DeleteFunc(turns.first, func(target netip.AddrPort, _ time.Time) bool {
		_, hole := holes[target]
		return hole
	})
	quiet = turns.lateness(arrivals, began, began.Add(while))
	if usual := quantile(quiet, 0.5); usual > s.period/10 {
		return nil, nil, fmt.Errorf("half of the probes come %s late without any black hole: the period is not %s", usual, s.period)
	}

	if err := s.swallow(holes); err != nil {
		return nil, nil, err
	}
	began = time.Now()
	if arrivals, err = s.nodes.record(ctx, while); err != nil {
		return nil, nil, err
	}
	dark = turns.lateness(arrivals, began, began.Add(while))
	// Without that, nothing was measured.
	if err := s.awaitFailing(ctx, count); err != nil {
		return nil, nil, err
	}
	for hole := range holes {
		if err := s.nodes.lighten(hole.Port()); err != nil {
			return nil, nil, err
		}
	}
	return quiet, dark, s.awaitFailing(ctx, 0)
}

// holes returns as many targets, on a node port each, spread over the nodes other
// than the agent's.
func (s *site) holes(count int) map[netip.AddrPort]struct{} {
	others := s.nodes.addresses[1:]
	holes := make(map[netip.AddrPort]struct{}, count)
	for i := range count {
		holes[netip.AddrPortFrom(others[i%len(others)], uint16(firstNodePort+i))] = struct{}{}
	}
	return holes
}

func (s *site) swallow(holes map[netip.AddrPort]struct{}) error {
	for hole := range holes {
		if err := s.nodes.darken(hole); err != nil {
			return fmt.Errorf("making %s fall silent: %w", hole, err)
		}
	}
	return nil
}

// awaitFailing waits for a report that calls so many targets failing.
func (s *site) awaitFailing(ctx context.Context, count int) error {
	return await(ctx, fmt.Sprintf("a report of %d failing targets", count), time.Minute, func() (bool, error) {
		failing, err := s.failing(ctx)
		return failing == count, err
	})
}

func milliseconds(d time.Duration) float64 {
	return float64(d) / float64(time.Millisecond)
}
