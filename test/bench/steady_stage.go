package main

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// newTown makes the stage of most benchmarks: three nodes, so that there is
// something to judge, with their agents.
func newTown(ctx context.Context, b *bench, apps int) (*stage, error) {
	return newStage(ctx, b, 3, apps, 0)
}

// grow creates the apps from one number up to another, and waits until every
// verdict is right.
func (s *stage) grow(ctx context.Context, from, to int) error {
	if err := createApps(ctx, s.cluster, stageNamespace, from, to); err != nil {
		return err
	}
	return s.awaitReachable(ctx, to)
}

// awaitReachable waits until every node is found to answer for each of so many
// apps, and the operator has nothing more to do.
func (s *stage) awaitReachable(ctx context.Context, apps int) error {
	if err := s.verdicts.awaitPorts(ctx, apps); err != nil {
		return err
	}
	if _, err := s.verdicts.awaitRight(ctx, 5*time.Minute); err != nil {
		return err
	}
	_, err := atRest(ctx, s.operator, 5*time.Minute)
	return err
}

// awaitSilence waits until the operator has written nothing for longer than
// anything that it waits for takes.
func (s *stage) awaitSilence(ctx context.Context) error {
	since, err := s.cluster.mark()
	if err != nil {
		return err
	}
	silence := pick(s.bench, 40*time.Second, time.Second)
	quiet := time.Now()
	return await(ctx, "the operator to write no more", 10*silence, func() (bool, error) {
		requests, err := s.cluster.operatorRequests(since)
		if err != nil {
			return false, err
		}
		for _, request := range requests {
			if request.write() && request.at.After(quiet) {
				quiet = request.at
			}
		}
		return time.Since(quiet) > silence, nil
	})
}

// pause stops processes where they are, until resume is called.
func pause(processes ...*process) (resume func(), err error) {
	for _, p := range processes {
		err = errors.Join(err, p.cmd.Process.Signal(syscall.SIGSTOP))
	}
	return func() {
		for _, p := range processes {
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
		}
	}, err
}
