package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// part is what an app has.
type part int

const (
	isThere part = 1 << iota
	hasDeployment
	hasService
	hasStatus

	hasChildren = isThere | hasDeployment | hasService
	hasAll      = hasChildren | hasStatus
)

// witness sees what the apps of a namespace have, by watches of its own.
type witness struct {
	wanted part
	stop   context.CancelFunc

	mu   sync.Mutex
	seen map[string]part
	// done are the times at which one more app had what is wanted.
	done    []time.Time
	changed chan struct{}
}

// watchApps begins to watch a namespace until apps have what is wanted. Of the
// children it asks for the metadata alone, so that the machine is left to what
// is measured.
func watchApps(ctx context.Context, c *cluster, namespace string, wanted part) *witness {
	ctx, stop := context.WithCancel(ctx)
	w := &witness{wanted: wanted, stop: stop, seen: make(map[string]part), changed: make(chan struct{}, 1)}
	for gained, list := range map[part]client.ObjectList{
		isThere | hasStatus: &v1alpha1.ExposedAppList{},
		hasDeployment:       metadata(appsv1.SchemeGroupVersion.WithKind("DeploymentList")),
		hasService:          metadata(corev1.SchemeGroupVersion.WithKind("ServiceList")),
	} {
		go func() {
			// It ends with the context, or the apps never come to have all.
			_ = follow(ctx, c.admin, func() client.ObjectList { return list },
				func(event watch.EventType, object client.Object) { w.see(event, object, gained) },
				nil, client.InNamespace(namespace))
		}()
	}
	return w
}

func metadata(kind schema.GroupVersionKind) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind)
	return list
}

// see notes an event that tells of a part. A status is one of the present
// generation.
func (w *witness) see(event watch.EventType, object client.Object, gained part) {
	if event == watch.Deleted {
		return
	}
	if app, ok := object.(*v1alpha1.ExposedApp); ok && app.Status.ObservedGeneration != app.Generation {
		gained = isThere
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.seen[object.GetName()]
	after := before | gained
	w.seen[object.GetName()] = after
	if before&w.wanted != w.wanted && after&w.wanted == w.wanted {
		w.done = append(w.done, time.Now())
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// await waits until n apps have what is wanted, and returns when that was.
func (w *witness) await(ctx context.Context, n int, atMost time.Duration) (time.Time, error) {
	timeout := time.After(atMost)
	for {
		w.mu.Lock()
		done := w.done
		w.mu.Unlock()
		if len(done) >= n {
			return done[n-1], nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-timeout:
			return time.Time{}, fmt.Errorf("%d of %d apps have converged after %s", len(done), n, atMost)
		case <-w.changed:
		}
	}
}
