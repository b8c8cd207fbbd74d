package main

import (
	"context"
	"time"
)

// steady keeps many apps as they are for a while, and counts what the operator
// writes. In between the API server forgets what it told before, so that all of
// the operator's informers list anew, and the operator restarts: each time it
// looks at every app, and must find that nothing differs.
func steady(ctx context.Context, b *bench) error {
	s, err := newTown(ctx, b, pick(b, 2500, 10))
	if err != nil {
		return err
	}
	if err := s.awaitSilence(ctx); err != nil {
		return err
	}
	begun, err := s.cluster.mark()
	if err != nil {
		return err
	}
	silence := pick(b, 200*time.Second, time.Second)
	if err := sleep(ctx, silence); err != nil {
		return err
	}
	b.logf("restarting the API server")
	woken, err := secondsOf(s.operator, func() error {
		if err := s.cluster.restartAPIServer(ctx, b); err != nil {
			return err
		}
		return sleep(ctx, silence)
	})
	if err != nil {
		return err
	}
	b.logf("restarting the operator")
	if err := s.operator.stop(); err != nil {
		return err
	}
	if s.operator, err = s.cluster.startOperator(ctx, b); err != nil {
		return err
	}
	if err := sleep(ctx, silence); err != nil {
		return err
	}
	if err := s.operator.alive(); err != nil {
		return err
	}
	// Without agents there would be much to write.
	if _, err := s.fleet.state(); err != nil {
		return err
	}
	requests, err := s.cluster.operatorRequests(begun)
	if err != nil {
		return err
	}
	written := count(requests, func(r request) bool {
		switch r.resource {
		case "exposedapps", "exposedapps/status", "deployments", "services":
			return r.write()
		}
		return false
	})
	b.report("steady_writes", "", float64(written))
	b.report("steady_writes_others", "", float64(count(requests, request.write)-written))
	// Without work there would have been no resync.
	b.report("steady_resync_cpu", "s", woken)
	for what, times := range tally(requests) {
		b.logf("%s: %d", what, times)
	}
	return nil
}
