package agent

import (
	"context"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// watchEndpoints keeps l informed of the EndpointSlices of the operator's
// Services until ctx ends. They carry the labels of their Services.
func watchEndpoints(ctx context.Context, c *Client, l *loop) {
	source := listWatch(c.endpointSlices, l, "watch EndpointSlices", managed(), slimSlice)
	reflect(ctx, source, new(discoveryv1.EndpointSlice), endpointStore{l})
}

// endpointStore hands EndpointSlices to the loop.
type endpointStore struct{ loop *loop }

var _ cache.TransformingStore = endpointStore{}

func (s endpointStore) Add(obj any) error { return s.Update(obj) }

func (s endpointStore) Update(obj any) error {
	if e, ok := endpointsOf(obj.(*discoveryv1.EndpointSlice)); ok {
		s.loop.post(func(now time.Duration) { s.loop.schedule.setEndpoints(now, e) })
	}
	return nil
}

func (s endpointStore) Delete(obj any) error {
	if e, ok := endpointsOf(obj.(*discoveryv1.EndpointSlice)); ok {
		s.loop.post(func(now time.Duration) { s.loop.schedule.deleteEndpoints(now, e) })
	}
	return nil
}

func (s endpointStore) Replace(objs []any, _ string) error {
	all := make(map[types.NamespacedName][]endpoints, len(objs))
	for _, obj := range objs {
		if slice := obj.(*slim[endpoints]); slice.kept {
			all[slice.form.service] = append(all[slice.form.service], slice.form)
		}
	}
	s.loop.post(func(now time.Duration) { s.loop.schedule.replaceEndpoints(now, all) })
	return nil
}

func (endpointStore) Resync() error { return nil }

// Transformer makes the reflector gather the first list without what the agent
// does not keep.
func (endpointStore) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if slice, ok := obj.(*discoveryv1.EndpointSlice); ok {
			return slimSlice(slice), nil
		}
		return obj, nil
	}
}

func slimSlice(obj runtime.Object) runtime.Object {
	slice := obj.(*discoveryv1.EndpointSlice)
	s := &slim[endpoints]{ObjectMeta: metav1.ObjectMeta{Namespace: slice.Namespace, Name: slice.Name}}
	s.form, s.kept = endpointsOf(slice)
	return s
}
