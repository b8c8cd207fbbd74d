package operatorcache

import (
	"context"
	"fmt"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Index finds the objects of a kind in the cache by a key. The field indexes of
// controller-runtime keep each key a second time, for all namespaces: a quarter of a KiB
// per app, for queries that the operator does not make.
type Index[T client.Object] struct {
	objects toolscache.Indexer
	name    string
}

// NewIndex has the objects of example's kind found by the keys that keys returns of one.
func NewIndex[T client.Object](
	ctx context.Context, informers cache.Cache, example T, name string, keys func(T) []string,
) (found Index[T], err error) {
	informer, err := Informer(ctx, informers, example)
	if err != nil {
		return found, err
	}
	return Index[T]{informer.GetIndexer(), name}, informer.AddIndexers(toolscache.Indexers{
		name: func(object any) ([]string, error) {
			typed, ok := object.(T)
			if !ok {
				return nil, fmt.Errorf("index by %s: %T is no %T", name, object, example)
			}
			return keys(typed), nil
		},
	})
}

// Find returns the objects that have a key. They are those of the cache: callers
// must not change them.
func (l Index[T]) Find(key string) ([]T, error) {
	found, err := l.objects.ByIndex(l.name, key)
	if err != nil {
		return nil, fmt.Errorf("look up by %s: %w", l.name, err)
	}
	objects := make([]T, 0, len(found))
	for _, object := range found {
		if typed, ok := object.(T); ok {
			objects = append(objects, typed)
		}
	}
	return objects, nil
}

// Informer returns the informer of a kind, without waiting until it has synced.
func Informer(
	ctx context.Context, informers cache.Cache, example client.Object,
) (toolscache.SharedIndexInformer, error) {
	informer, err := informers.GetInformer(ctx, example, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	// It is one that newInformer made.
	shared, ok := informer.(toolscache.SharedIndexInformer)
	if !ok {
		return nil, fmt.Errorf("the informer of %T is a %T", example, informer)
	}
	return shared, nil
}
