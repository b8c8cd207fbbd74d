package main

import (
	"context"
	"time"
)

// flapping has ports of a small cluster break and mend every second, and counts
// what that costs.
func flapping(ctx context.Context, b *bench) error {
	s, err := newStage(ctx, b, pick(b, 10, 4), pick(b, 200, 4), time.Second)
	if err != nil {
		return err
	}
	ports := s.ports[:pick(b, 50, 2)]
	length := pick(b, 5*time.Minute, 3*time.Second)
	// What came before has its echoes.
	if err := sleep(ctx, pick(b, 30*time.Second, time.Second)); err != nil {
		return err
	}
	begun, err := s.cluster.mark()
	if err != nil {
		return err
	}
	b.logf("%d apps flap for %s", len(ports), length)
	began := time.Now()
	// Each at its own time.
	ticker := time.NewTicker(time.Second / time.Duration(len(ports)))
	defer ticker.Stop()
	for i := 0; time.Since(began) < length; i++ {
		turn := Break{Ports: ports[i%len(ports) : i%len(ports)+1], Broken: i/len(ports)%2 == 0}
		if err := s.fleet.turn(turn); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	seconds := time.Since(began).Seconds()
	written, err := s.written(begun)
	if err != nil {
		return err
	}
	perAppAndSecond := func(which func(request) bool) float64 {
		return float64(count(written, which)) / float64(len(ports)) / seconds
	}
	b.report("flapping_writes_per_app", "1/s", perAppAndSecond(writesApp))
	b.report("flapping_reports", "1/s", float64(count(written, func(r request) bool {
		return r.resource == "nodereachabilities/status"
	}))/seconds)
	b.logf("all is well again")
	ended := time.Now()
	s.verdicts.expect(func(*truth) {})
	if err := s.fleet.turn(Break{Ports: ports}); err != nil {
		return err
	}
	right, err := s.verdicts.awaitRight(ctx, patience)
	if err != nil {
		return err
	}
	b.report("flapping_right_after", "s", right.Sub(ended).Seconds())
	return s.operator.alive()
}
