package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// contestant is who makes apps converge. One without a start is nobody.
type contestant struct {
	name  string
	start func(ctx context.Context) (*process, error)
}

// race is a cluster on which contestants take turns.
type race struct {
	b       *bench
	cluster *cluster
	trials  int
}

func newRace(ctx context.Context, b *bench) (*race, error) {
	c, err := startCluster(ctx, b, clusterOptions{})
	if err != nil {
		return nil, err
	}
	return &race{b: b, cluster: c}, createNodes(ctx, c, 3)
}

// warmUp returns the floor, after it has served so many apps for no figure: the
// API server is slower at first, whoever comes then.
func (r *race) warmUp(ctx context.Context, apps int) (contestant, error) {
	template, err := makeTemplate(ctx, r.b, r.cluster)
	if err != nil {
		return contestant{}, err
	}
	floor := r.floor(template)
	_, err = r.trial(ctx, floor, apps)
	return floor, err
}

func (r *race) operator() contestant {
	return contestant{"operator", func(ctx context.Context) (*process, error) {
		return r.cluster.startOperator(ctx, r.b)
	}}
}

func (r *race) floor(template string) contestant {
	return contestant{"floor", func(ctx context.Context) (*process, error) {
		_, kubeconfig, err := r.cluster.user(r.b, operatorUser, serviceAccounts, authenticated)
		if err != nil {
			return nil, err
		}
		return startSubject(ctx, r.b, "floor", nil, kubeconfig, template)
	}}
}

func (r *race) naive() contestant {
	return contestant{"naive", func(ctx context.Context) (*process, error) {
		// It updates what the operator patches, so it may do everything.
		_, kubeconfig, err := r.cluster.user(r.b, "naive", "system:masters", authenticated)
		if err != nil {
			return nil, err
		}
		return startSubject(ctx, r.b, "naive", nil, kubeconfig)
	}}
}

func nobody() contestant { return contestant{name: "nobody"} }

// trial is what one run took, in seconds. The CPU time is until the subject was
// at rest.
type trial struct {
	seconds, cpu, apiServerCPU float64
}

// trial has a contestant start, serve one app to get warm, and then as many as
// asked for, in a namespace that was not there before. It leaves no app behind.
func (r *race) trial(ctx context.Context, subject contestant, apps int) (t trial, err error) {
	r.trials++
	namespace := fmt.Sprintf("bench-%d", r.trials)
	warm := namespace + "-warm"
	for _, name := range []string{namespace, warm} {
		if err := createNamespace(ctx, r.cluster, name); err != nil {
			return t, err
		}
	}
	if subject.start == nil {
		t, err = r.run(ctx, nil, namespace, apps)
	} else {
		var p *process
		if p, err = subject.start(ctx); err != nil {
			return t, err
		}
		if _, err = r.run(ctx, p, warm, 1); err == nil {
			t, err = r.run(ctx, p, namespace, apps)
		}
		err = errors.Join(err, p.alive(), p.stop())
	}
	for _, name := range []string{namespace, warm} {
		err = errors.Join(err, sweep(ctx, r.cluster, name))
	}
	r.b.logf("%s: %d apps in %.2f s, CPU %.2f s, API server %.2f s",
		subject.name, apps, t.seconds, t.cpu, t.apiServerCPU)
	return t, err
}

// run creates apps and waits until they have converged, or without a process, are
// there.
func (r *race) run(ctx context.Context, p *process, namespace string, apps int) (t trial, err error) {
	apiServer, err := r.cluster.apiServer()
	if err != nil {
		return t, err
	}
	t.apiServerCPU, err = secondsOf(apiServer, func() error {
		if p == nil {
			took, err := serve(ctx, r.cluster, namespace, 0, apps, isThere)
			t.seconds = took.Seconds()
			return err
		}
		t.cpu, err = secondsOf(p, func() error {
			took, err := serve(ctx, r.cluster, namespace, 0, apps, hasAll)
			if err != nil {
				return err
			}
			t.seconds = took.Seconds()
			_, err = atRest(ctx, p, 10*time.Minute)
			return err
		})
		return err
	})
	return t, err
}

// secondsOf returns the CPU time that a process takes while f runs.
func secondsOf(p *process, f func() error) (float64, error) {
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := p.cpu()
	return (after - before).Seconds(), err
}
