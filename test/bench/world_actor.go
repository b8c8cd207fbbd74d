package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// worldWriters is how many objects are written at a time: more than the
// controllers of Kubernetes do, so that they are not what is waited for.
const worldWriters = 32

// worldActor plays the world.
type worldActor struct {
	client client.WithWatch
	queue  workqueue.TypedInterface[worldTask]

	mu          sync.Mutex
	nodes       map[string]bool
	names       []string
	deployments map[types.NamespacedName]*appsv1.Deployment
	services    map[types.NamespacedName]*corev1.Service
	// slices are the apps with an EndpointSlice, and whether its endpoints are
	// ready.
	slices map[types.NamespacedName]bool
	// failing are the apps whose pods are not ready.
	failing map[types.NamespacedName]bool
}

// worldTask is a child of an app that may have to be followed.
type worldTask struct {
	types.NamespacedName
	service bool
}

// playWorld is the subject. Its arguments are the path of its socket and about
// how many nodes it will have.
func playWorld(ctx context.Context, arguments []string) error {
	nodes, err := strconv.Atoi(arguments[1])
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.QPS, config.UserAgent = -1, "world/bench"
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	actor := &worldActor{
		queue:       workqueue.NewTyped[worldTask](),
		nodes:       make(map[string]bool, nodes),
		deployments: make(map[types.NamespacedName]*appsv1.Deployment),
		services:    make(map[types.NamespacedName]*corev1.Service),
		slices:      make(map[types.NamespacedName]bool),
		failing:     make(map[types.NamespacedName]bool),
	}
	if actor.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	managed := client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveDirections(ctx, arguments[0], actor) })
	group.Go(func() error {
		return follow(ctx, actor.client, func() client.ObjectList { return &appsv1.DeploymentList{} }, actor.note, nil, managed)
	})
	group.Go(func() error {
		return follow(ctx, actor.client, func() client.ObjectList { return &corev1.ServiceList{} }, actor.note, nil, managed)
	})
	group.Go(func() error { return actor.beat(ctx) })
	for range worldWriters {
		group.Go(func() error { return actor.work(ctx) })
	}
	context.AfterFunc(ctx, actor.queue.ShutDown)
	return group.Wait()
}

// note takes a change of a Deployment or a Service.
func (w *worldActor) note(event watch.EventType, object client.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := client.ObjectKeyFromObject(object)
	switch object := object.(type) {
	case *appsv1.Deployment:
		keep(w.deployments, event, key, object)
		w.queue.Add(worldTask{key, false})
	case *corev1.Service:
		keep(w.services, event, key, object)
		w.queue.Add(worldTask{key, true})
	}
}

func keep[T any](objects map[types.NamespacedName]T, event watch.EventType, key types.NamespacedName, object T) {
	if event == watch.Deleted {
		delete(objects, key)
		return
	}
	objects[key] = object
}

// work brings one child after the other up to date.
func (w *worldActor) work(ctx context.Context) error {
	for {
		task, closed := w.queue.Get()
		if closed {
			return nil
		}
		var err error
		if task.service {
			err = w.followService(ctx, task.NamespacedName)
		} else {
			err = w.followDeployment(ctx, task.NamespacedName)
		}
		w.queue.Done(task)
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "%s: %s\n", task, err)
			time.AfterFunc(time.Second, func() { w.queue.Add(task) })
		}
	}
}

// SetApps follows a direction.
func (w *worldActor) SetApps(direction SetApps, _ *struct{}) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, app := range direction.Apps {
		if direction.Ready {
			delete(w.failing, app)
		} else {
			w.failing[app] = true
		}
		w.queue.Add(worldTask{app, true})
		w.queue.Add(worldTask{app, false})
	}
	return nil
}

// errNoNodes tells of endpoints that have no node to be on.
var errNoNodes = errors.New("there are no nodes yet")
