package e2e_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/judge"
)

// statusWitness notes every status of an ExposedApp as it comes, and when the
// API server did not hand it out.
type statusWitness struct {
	app
	mu       sync.Mutex
	version  uint64
	statuses []judge.Status
	outages  []judge.Interval
}

// witnessStatus starts to note the statuses of an app, which need not exist. It
// ends with the spec.
func witnessStatus(ctx SpecContext, a app) *statusWitness {
	w := &statusWitness{app: a}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	DeferCleanup(func() {
		stop()
		loops.Wait()
	})
	loops.Go(func() { repeat(running, w.watch) })
	loops.Go(func() { repeat(running, w.poll) })
	return w
}

func repeat(ctx context.Context, once func(context.Context)) {
	for ctx.Err() == nil {
		once(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// watch notes what a watch tells, until it ends.
func (w *statusWitness) watch(ctx context.Context) {
	watch, err := cluster.Watch(ctx, &v1alpha1.ExposedAppList{},
		client.InNamespace(w.namespace), client.MatchingFields{"metadata.name": w.name})
	if err != nil {
		return
	}
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-watch.ResultChan():
			if !open {
				return
			}
			if object, ok := event.Object.(*v1alpha1.ExposedApp); ok {
				w.note(object)
			}
		}
	}
}

// poll tells an outage of the API server from a status that does not change.
func (w *statusWitness) poll(ctx context.Context) {
	asked := time.Now()
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	object, err := w.get(limited)
	switch {
	case err == nil:
		w.note(object)
	case client.IgnoreNotFound(err) != nil && ctx.Err() == nil:
		w.mu.Lock()
		defer w.mu.Unlock()
		if last := len(w.outages) - 1; last >= 0 && asked.Sub(w.outages[last].To) < time.Second {
			w.outages[last].To = time.Now()
			return
		}
		w.outages = append(w.outages, judge.Interval{From: asked, To: time.Now()})
	}
}

func (w *statusWitness) note(object *v1alpha1.ExposedApp) {
	version, err := strconv.ParseUint(object.ResourceVersion, 10, 64)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || version <= w.version {
		return
	}
	w.version = version
	next := judge.Status{At: time.Now(), Port: object.Status.NodePort, Rows: make(map[string]judge.Row)}
	for i := range object.Status.Nodes {
		verdict := &object.Status.Nodes[i]
		next.Rows[verdict.Node] = judge.Row{Says: rowOf(verdict), Message: verdict.Message}
	}
	if last := len(w.statuses) - 1; last >= 0 && w.statuses[last].Port == next.Port && maps.Equal(w.statuses[last].Rows, next.Rows) {
		return
	}
	w.statuses = append(w.statuses, next)
}

// seen returns the statuses and the outages so far.
func (w *statusWitness) seen() ([]judge.Status, []judge.Interval) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.statuses), slices.Clone(w.outages)
}
