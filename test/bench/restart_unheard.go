package main

import (
	"context"
	"errors"
	"time"
)

// restartUnheard counts what an operator writes to the statuses after it started, on a
// cluster of the largest size, while no agent reports again: what they found stands in
// their reports, and nothing of it has changed.
func restartUnheard(ctx context.Context, b *bench) error {
	s, err := newStage(ctx, b, pick(b, 5000, 12), pick(b, portCount, 6), pick(b, time.Minute, time.Second))
	if err != nil {
		return err
	}
	// What is only messages is told last.
	if err := sleep(ctx, pick(b, 30*time.Second, time.Second)); err != nil {
		return err
	}
	if err := errors.Join(s.fleet.stop(), s.operator.stop()); err != nil {
		return err
	}
	begun, err := s.cluster.mark()
	if err != nil {
		return err
	}
	if s.operator, err = s.cluster.startOperator(ctx, b); err != nil {
		return err
	}
	if _, err := atRest(ctx, s.operator, 2*time.Minute); err != nil {
		return err
	}
	if err := sleep(ctx, pick(b, 30*time.Second, time.Second)); err != nil {
		return err
	}
	written, err := s.written(begun)
	if err != nil {
		return err
	}
	b.report("restart_status_writes", "", float64(count(written, writesApp)))
	return s.operator.stop()
}
