package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// watch begins with the watches, one of each kind for the whole fleet. Real agents
// have three each: 15,000 on one machine would measure the machine, and that the
// API server sends each its own events is known.
func (f *fleetActor) watch(ctx context.Context, group *errgroup.Group) {
	managed := client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
	group.Go(func() error {
		generations := make(map[string]int64)
		return follow(ctx, f.watcher, func() client.ObjectList { return &v1alpha1.NodeReachabilityList{} },
			func(event watch.EventType, object client.Object) {
				f.noteReachability(ctx, event, object.(*v1alpha1.NodeReachability), generations)
			}, nil)
	})
	group.Go(func() error {
		return follow(ctx, f.watcher, func() client.ObjectList { return &corev1.ServiceList{} },
			func(event watch.EventType, object client.Object) {
				f.noteService(ctx, event, object.(*corev1.Service))
			}, func(version string) {
				f.post(ctx, func(now time.Duration) { f.sync(now, versionOf(version)) })
			}, managed)
	})
	group.Go(func() error {
		return follow(ctx, f.watcher, func() client.ObjectList { return &discoveryv1.EndpointSliceList{} },
			func(event watch.EventType, object client.Object) {
				f.noteEndpoints(ctx, event, object.(*discoveryv1.EndpointSlice))
			}, nil, managed)
	})
}

// sync takes note that all Services are known.
func (f *fleetActor) sync(now time.Duration, version uint64) {
	f.synced, f.services = true, max(f.services, version)
	for _, a := range f.agents {
		if a.running {
			a.pacer.Note(now, false)
		}
		f.plan(a)
	}
}

// noteReachability passes on what is asked of an agent. The echo of its report
// asks for nothing.
func (f *fleetActor) noteReachability(
	ctx context.Context, event watch.EventType, object *v1alpha1.NodeReachability, generations map[string]int64,
) {
	name := object.Name
	size := 0
	// Nothing in it that JSON cannot carry.
	if text, err := json.Marshal(object); err == nil {
		size = len(text)
	}
	known := generations[name] == object.Generation
	generations[name] = object.Generation
	var wanted *assigned
	if event == watch.Deleted {
		delete(generations, name)
	} else {
		wanted = assignedOf(object)
	}
	f.post(ctx, func(now time.Duration) {
		f.largest = max(f.largest, size)
		if !known || wanted == nil {
			f.follow(now, name, wanted)
		}
	})
}

func (f *fleetActor) noteService(ctx context.Context, event watch.EventType, object *corev1.Service) {
	key, version := client.ObjectKeyFromObject(object), versionOf(object.ResourceVersion)
	var port uint16
	if event != watch.Deleted && len(object.Spec.Ports) > 0 {
		port = uint16(object.Spec.Ports[0].NodePort)
	}
	var declared v1alpha1.ProbeSpec
	if err := json.Unmarshal([]byte(object.Annotations[v1alpha1.ProbeAnnotation]), &declared); err != nil {
		declared.PeriodSeconds = 5
	}
	period := time.Duration(declared.PeriodSeconds) * time.Second
	f.post(ctx, func(now time.Duration) { f.serve(now, key, port, period, version) })
}

func (f *fleetActor) noteEndpoints(ctx context.Context, event watch.EventType, object *discoveryv1.EndpointSlice) {
	key := types.NamespacedName{Namespace: object.Namespace, Name: object.Labels[discoveryv1.LabelServiceName]}
	var ready []string
	for _, endpoint := range object.Endpoints {
		if event != watch.Deleted && ptr.Deref(endpoint.Conditions.Ready, true) {
			ready = append(ready, fmt.Sprint(endpoint.Addresses, ptr.Deref(endpoint.NodeName, "")))
		}
	}
	slices.Sort(ready)
	f.post(ctx, func(now time.Duration) { f.stir(now, key, strings.Join(ready, " ")) })
}

// versionOf returns a resourceVersion as the number that it is.
func versionOf(text string) uint64 {
	version, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return version
}
