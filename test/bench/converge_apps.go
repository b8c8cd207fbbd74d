package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

// creators are how many apps are created at a time: more than a GitOps tool
// does, so that it is not the creation that is measured.
const creators = 32

func appName(i int) string { return fmt.Sprintf("app-%05d", i) }

// createNamespace creates a namespace, with nobody there to remove it.
func createNamespace(ctx context.Context, c *cluster, name string) error {
	return c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// createNodes creates Nodes that are Ready, and have an address.
func createNodes(ctx context.Context, c *cluster, n int) error {
	for i := range n {
		node := gen.Node(fmt.Sprintf("node-%d", i), fmt.Sprintf("198.18.0.%d", i+1))
		status := node.Status
		if err := c.admin.Create(ctx, node); err != nil {
			return err
		}
		node.Status = status
		if err := c.admin.Status().Update(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

// createApps creates the apps from one number up to, but without, another. Their
// specs are empty, so that Kubernetes picks the node ports.
func createApps(ctx context.Context, c *cluster, namespace string, from, to int) error {
	next := atomic.Int64{}
	next.Store(int64(from))
	group, ctx := errgroup.WithContext(ctx)
	for range creators {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= to {
					return nil
				}
				app := &v1alpha1.ExposedApp{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: appName(i)}}
				if err := c.admin.Create(ctx, app); err != nil {
					return fmt.Errorf("create %s: %w", app.Name, err)
				}
			}
		})
	}
	return group.Wait()
}

// serve creates the apps from one number up to another and waits until all of
// the namespace have what is wanted. It returns how long that took from the first
// create.
func serve(
	ctx context.Context, c *cluster, namespace string, from, to int, wanted part,
) (time.Duration, error) {
	w := watchApps(ctx, c, namespace, wanted)
	defer w.stop()
	began := time.Now()
	var done time.Time
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return createApps(ctx, c, namespace, from, to) })
	group.Go(func() (err error) {
		done, err = w.await(ctx, to, 10*time.Minute)
		return err
	})
	err := group.Wait()
	return done.Sub(began), err
}

// sweep removes the apps of a namespace and what was made for them, since no
// garbage collector runs. Nobody may be at work on them any more.
func sweep(ctx context.Context, c *cluster, namespace string) error {
	for _, kind := range []client.Object{
		&v1alpha1.ExposedApp{}, &appsv1.Deployment{}, &corev1.Service{}, &corev1.Event{},
	} {
		if err := c.admin.DeleteAllOf(ctx, kind, client.InNamespace(namespace)); err != nil {
			return fmt.Errorf("sweep %s: %w", namespace, err)
		}
	}
	return nil
}
