package agent

import (
	"context"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// watchEndpoints keeps l informed of the EndpointSlices of the operator's
// Services until ctx ends. They carry the labels of their Services.
func watchEndpoints(ctx context.Context, c *Client, l *loop) {
	source := listWatch(c.endpointSlices, l, "watch EndpointSlices", managed())
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
		if e, ok := endpointsOf(obj.(*discoveryv1.EndpointSlice)); ok {
			all[e.service] = append(all[e.service], e)
		}
	}
	s.loop.post(func(now time.Duration) { s.loop.schedule.replaceEndpoints(now, all) })
	return nil
}

func (endpointStore) Resync() error { return nil }

// Transformer makes the reflector gather the first list without what the agent
// does not read.
func (endpointStore) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		slice, ok := obj.(*discoveryv1.EndpointSlice)
		if !ok {
			return obj, nil
		}
		slim := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace:       slice.Namespace,
				Name:            slice.Name,
				ResourceVersion: slice.ResourceVersion,
				Labels:          map[string]string{discoveryv1.LabelServiceName: slice.Labels[discoveryv1.LabelServiceName]},
			},
			AddressType: slice.AddressType,
			Ports:       slice.Ports,
		}
		for _, endpoint := range slice.Endpoints {
			slim.Endpoints = append(slim.Endpoints, discoveryv1.Endpoint{
				Addresses:  endpoint.Addresses[:min(1, len(endpoint.Addresses))],
				Conditions: endpoint.Conditions,
			})
		}
		return slim, nil
	}
}
