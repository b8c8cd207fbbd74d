// Package operatorcache says what the operator caches, and how: objects are trimmed to what
// is used of them as they arrive, page by page. It alone knows how a trimmed object stores
// what was in the rest.
package operatorcache

import (
	"context"
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/listwatch"
)

// Options says what the operator caches, and of that only what it uses.
// Services and Deployments are watched in the whole cluster, because a foreign
// one may hold the node port or the name of an ExposedApp. health records the
// outcome of the requests that fill the cache.
func Options(config *rest.Config, health *listwatch.Health) (cache.Options, error) {
	own, err := listwatch.NewClient(config, v1alpha1.SchemeGroupVersion, "ExposedApp")
	if err != nil {
		return cache.Options{}, err
	}
	transform := Transform()
	// Callers treat these objects as read-only, so they are shared.
	shared := true
	return cache.Options{
		NewInformer: func(source toolscache.ListerWatcher, example runtime.Object, resync time.Duration,
			indexers toolscache.Indexers) toolscache.SharedIndexInformer {
			if _, apps := example.(*v1alpha1.ExposedApp); apps {
				return newInformer(own.Items("exposedapps", decodeApp), example, resync, indexers, asItIs, health.Note("exposedapps"))
			}
			return newInformer(source, example, resync, indexers, transform, health.Note(fmt.Sprintf("%T", example)))
		},
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            transform,
		ByObject: map[client.Object]cache.ByObject{
			// They are trimmed as they are decoded.
			&v1alpha1.ExposedApp{}: {Transform: asItIs},
			&appsv1.Deployment{}:   {UnsafeDisableDeepCopy: &shared},
			&corev1.Service{}:      {UnsafeDisableDeepCopy: &shared},
			&corev1.Node{}:         {UnsafeDisableDeepCopy: &shared},
			&discoveryv1.EndpointSlice{}: {
				// EndpointSlices carry the labels of their Service.
				Label:                 labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}),
				UnsafeDisableDeepCopy: &shared,
			},
		},
	}, nil
}

func asItIs(object any) (any, error) { return object, nil }

// StartInformers has all caches filled at the same time. A manager begins with those
// that are asked for before it starts, and would come to the others after them.
func StartInformers(ctx context.Context, informers cache.Cache) error {
	for _, object := range []client.Object{
		&v1alpha1.ExposedApp{}, &appsv1.Deployment{}, &corev1.Service{}, &corev1.Node{}, &discoveryv1.EndpointSlice{},
	} {
		if _, err := informers.GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return err
		}
	}
	return nil
}

// newInformer makes an informer that trims each page of a list before it asks for the
// next. It has no index by namespace: nothing is listed by that.
func newInformer(
	source toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers,
	trim toolscache.TransformFunc, note listwatch.Note,
) toolscache.SharedIndexInformer {
	indexers = maps.Clone(indexers)
	delete(indexers, toolscache.NamespaceIndex)
	keep := func(object runtime.Object) (runtime.Object, error) {
		_, err := trim(object)
		return object, err
	}
	source = listwatch.Persistent(source, pageOf(example), keep, note)
	return toolscache.NewSharedIndexInformer(source, example, resync, indexers)
}

// pageOf returns how many objects of a kind are listed at a time. Nodes are not made by
// whoever may edit a namespace.
func pageOf(example runtime.Object) int64 {
	if _, ok := example.(*corev1.Node); ok {
		return 500
	}
	return listwatch.SmallPage
}
