package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// restart takes the time from the start of an operator until it is idle, with
// many apps of which none changed, against a program that lists, once, what the
// operator caches. Idle means that it uses no CPU and asks for nothing.
func restart(ctx context.Context, b *bench) error {
	s, err := newTown(ctx, b, pick(b, 2500, 10))
	if err != nil {
		return err
	}
	if err := s.awaitSilence(ctx); err != nil {
		return err
	}
	if err := s.operator.stop(); err != nil {
		return err
	}
	subjects := []func(context.Context) (trial, error){s.restartOperator, s.list, s.restartWithNewApp, s.handOver}
	taken := make([][]trial, len(subjects))
	for _, i := range alternate(len(subjects), pick(b, 5, 1)) {
		t, err := subjects[i](ctx)
		if err != nil {
			return err
		}
		taken[i] = append(taken[i], t)
	}
	seconds, cpu := func(t trial) float64 { return t.seconds }, func(t trial) float64 { return t.cpu }
	b.report("restart_ratio", "×", ratios(column(taken[0], seconds), column(taken[1], seconds))...)
	b.report("restart_seconds_operator", "s", column(taken[0], seconds)...)
	b.report("restart_seconds_list", "s", column(taken[1], seconds)...)
	b.report("restart_cpu_operator", "s", column(taken[0], cpu)...)
	b.report("restart_cpu_list", "s", column(taken[1], cpu)...)
	b.report("restart_new_app_seconds", "s", column(taken[2], seconds)...)
	b.report("restart_new_app_handed_over_seconds", "s", column(taken[3], seconds)...)
	return restartUnheard(ctx, b)
}

// restartOperator starts an operator that has nothing to do.
func (s *stage) restartOperator(ctx context.Context) (t trial, err error) {
	begun, err := s.cluster.mark()
	if err != nil {
		return t, err
	}
	operator, err := s.cluster.startOperator(ctx, s.bench)
	if err != nil {
		return t, err
	}
	idle, err := atRest(ctx, operator, time.Minute)
	if err != nil {
		return t, err
	}
	used, err := operator.cpu()
	if err != nil {
		return t, err
	}
	if err := operator.stop(); err != nil {
		return t, err
	}
	requests, err := s.cluster.operatorRequests(begun)
	if err != nil {
		return t, err
	}
	for _, request := range requests {
		if request.at.After(idle) {
			idle = request.at
		}
	}
	return trial{seconds: idle.Sub(operator.began).Seconds(), cpu: used.Seconds()}, nil
}

// restartWithNewApp creates an app at the moment an operator starts, and waits
// for its children.
func (s *stage) restartWithNewApp(ctx context.Context) (t trial, err error) {
	namespace, err := s.newNamespace(ctx)
	if err != nil {
		return t, err
	}
	operator, err := s.cluster.startOperator(ctx, s.bench)
	if err != nil {
		return t, err
	}
	if _, err := serve(ctx, s.cluster, namespace, 0, 1, hasChildren); err != nil {
		return t, err
	}
	t.seconds = time.Since(operator.began).Seconds()
	if _, err := atRest(ctx, operator, time.Minute); err != nil {
		return t, err
	}
	return t, errors.Join(operator.stop(), sweep(ctx, s.cluster, namespace))
}

// newNamespace makes a namespace for a new app.
func (s *stage) newNamespace(ctx context.Context) (string, error) {
	name := fmt.Sprintf("bench-new-%d", time.Now().UnixNano())
	return name, createNamespace(ctx, s.cluster, name)
}

// handOver has an operator stop that a standby takes over from, as config/ runs two of
// them, creates an app at that moment, and waits for its children.
func (s *stage) handOver(ctx context.Context) (t trial, err error) {
	namespace, err := s.newNamespace(ctx)
	if err != nil {
		return t, err
	}
	// The first of them leads.
	var replicas [2]*process
	for i := range replicas {
		replicas[i], err = s.cluster.startOperator(ctx, s.bench, "--leader-elect", "--leader-elect-resource-namespace="+system)
		if err != nil {
			return t, err
		}
		if _, err := atRest(ctx, replicas[i], time.Minute); err != nil {
			return t, err
		}
	}
	began := time.Now()
	group, served := errgroup.WithContext(ctx)
	group.Go(replicas[0].stop)
	group.Go(func() error {
		_, err := serve(served, s.cluster, namespace, 0, 1, hasChildren)
		t.seconds = time.Since(began).Seconds()
		return err
	})
	if err := group.Wait(); err != nil {
		return t, err
	}
	if _, err := atRest(ctx, replicas[1], time.Minute); err != nil {
		return t, err
	}
	return t, errors.Join(replicas[1].stop(), sweep(ctx, s.cluster, namespace))
}

// list has a subject list what the operator caches.
func (s *stage) list(ctx context.Context) (t trial, err error) {
	_, kubeconfig, err := s.cluster.user(s.bench, operatorUser, serviceAccounts, authenticated)
	if err != nil {
		return t, err
	}
	p, err := startSubject(ctx, s.bench, "lists", nil, kubeconfig)
	if err != nil {
		return t, err
	}
	used, err := p.wait()
	return trial{seconds: time.Since(p.began).Seconds(), cpu: used.Seconds()}, err
}

// lists lists every kind that the operator caches, with the operator's client.
// Its argument is the path of a kubeconfig.
func lists(ctx context.Context, arguments []string) error {
	config, err := subjectConfig(arguments[0], "lists")
	if err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, kind := range []client.ObjectList{
		&v1alpha1.ExposedAppList{}, &v1alpha1.NodeReachabilityList{}, &appsv1.DeploymentList{},
		&corev1.ServiceList{}, &corev1.NodeList{}, &discoveryv1.EndpointSliceList{},
	} {
		group.Go(func() error { return api.List(ctx, kind) })
	}
	return group.Wait()
}
