package main

import (
	"context"
	"time"
)

// memory has one operator serve more and more apps, which come all at once each
// time, and takes its memory when it has long been at rest. In the end there are
// more apps than the default range has node ports; the fleet does not know of
// those beyond, so that nobody tells of them.
func memory(ctx context.Context, b *bench) error {
	few, many, most := pick(b, 500, 4), pick(b, 2500, 8), pick(b, 10_000, 16)
	s, err := newTown(ctx, b, few)
	if err != nil {
		return err
	}
	_, withFew, err := s.memoryAtRest(ctx)
	if err != nil {
		return err
	}
	if err := s.grow(ctx, few, many); err != nil {
		return err
	}
	resident, withMany, err := s.memoryAtRest(ctx)
	if err != nil {
		return err
	}
	b.report("memory_operator_kib_per_app", "KiB", (withMany-withFew)/kib/float64(many-few))
	b.report("memory_operator_mib_2500", "MiB", resident/mib)
	if err := s.cluster.restartAPIServer(ctx, b, "--service-node-port-range=20000-32767"); err != nil {
		return err
	}
	if _, err := serve(ctx, s.cluster, stageNamespace, many, most, hasAll); err != nil {
		return err
	}
	if resident, _, err = s.memoryAtRest(ctx); err != nil {
		return err
	}
	b.report("memory_operator_mib_10000", "MiB", resident/mib)
	return s.operator.alive()
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// memoryAtRest returns the operator's resident memory, and of that what no file
// backs, when it has long had nothing to do.
func (s *stage) memoryAtRest(ctx context.Context) (resident, anonymous float64, err error) {
	if _, err := atRest(ctx, s.operator, 5*time.Minute); err != nil {
		return 0, 0, err
	}
	// The Go runtime collects garbage every two minutes at least, and then gives
	// back what it no longer needs.
	if err := sleep(ctx, pick(s.bench, 150*time.Second, 0)); err != nil {
		return 0, 0, err
	}
	if resident, err = s.operator.resident(); err != nil {
		return 0, 0, err
	}
	anonymous, err = s.operator.anonymous()
	s.logf("resident %.1f MiB, anonymous %.1f MiB", resident/mib, anonymous/mib)
	return resident, anonymous, err
}
