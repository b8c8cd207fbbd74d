package main

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"net/netip"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// followDeployment writes the status that the Deployment controller would, once
// all pods have started.
func (w *worldActor) followDeployment(ctx context.Context, key types.NamespacedName) error {
	w.mu.Lock()
	live, failing := w.deployments[key], w.failing[key]
	w.mu.Unlock()
	if live == nil {
		return nil
	}
	replicas := ptr.Deref(live.Spec.Replicas, 1)
	ready := replicas
	if failing {
		ready = 0
	}
	if live.Status.ObservedGeneration == live.Generation && live.Status.Replicas == replicas &&
		live.Status.ReadyReplicas == ready {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"status": deploymentStatus(live.Generation, replicas, ready)})
	if err != nil {
		return err
	}
	object := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	return client.IgnoreNotFound(w.client.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, patch)))
}

func deploymentStatus(generation int64, replicas, ready int32) map[string]any {
	available, reason := corev1.ConditionTrue, "MinimumReplicasAvailable"
	if ready < replicas {
		available, reason = corev1.ConditionFalse, "MinimumReplicasUnavailable"
	}
	now := metav1.Now()
	return map[string]any{
		"observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
		"readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": replicas - ready,
		"conditions": []appsv1.DeploymentCondition{
			{
				Type: appsv1.DeploymentAvailable, Status: available, Reason: reason,
				LastUpdateTime: now, LastTransitionTime: now,
			},
			{
				Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable",
				LastUpdateTime: now, LastTransitionTime: now,
			},
		},
	}
}

// followService brings the EndpointSlice of a Service to what the EndpointSlice
// controller would make of its pods, of which there is one.
func (w *worldActor) followService(ctx context.Context, key types.NamespacedName) error {
	w.mu.Lock()
	live, ready := w.services[key], !w.failing[key]
	before, exists := w.slices[key]
	names := w.names
	w.mu.Unlock()
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name + "-x2x7k"}}
	switch {
	case live == nil && exists:
		if err := w.client.Delete(ctx, slice); client.IgnoreNotFound(err) != nil {
			return err
		}
	case live == nil || exists && before == ready:
		return nil
	case exists:
		patch, err := json.Marshal(map[string]any{"endpoints": endpointsOn(key, names, ready)})
		if err != nil {
			return err
		}
		if err := w.client.Patch(ctx, slice, client.RawPatch(types.MergePatchType, patch)); client.IgnoreNotFound(err) != nil {
			return err
		}
	case len(names) == 0:
		return errNoNodes
	default:
		if err := w.client.Create(ctx, endpointSlice(slice.Name, live, names, ready)); client.IgnoreAlreadyExists(err) != nil {
			// The Service may be gone, and its namespace with it.
			return client.IgnoreNotFound(ignoreForbidden(err))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if live == nil {
		delete(w.slices, key)
	} else {
		w.slices[key] = ready
	}
	return nil
}

func ignoreForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}

func endpointSlice(name string, service *corev1.Service, nodes []string, ready bool) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace,
			Name:      name,
			Labels: map[string]string{
				v1alpha1.AppLabel:            service.Name,
				v1alpha1.ManagedByLabel:      v1alpha1.ManagedByValue,
				discoveryv1.LabelServiceName: service.Name,
				discoveryv1.LabelManagedBy:   "endpointslice-controller.k8s.io",
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID,
				Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{
			Name: new("http"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(9898)),
		}},
		Endpoints: endpointsOn(client.ObjectKeyFromObject(service), nodes, ready),
	}
}

// endpointsOn returns the endpoint of an app's one pod, on one of the nodes.
func endpointsOn(app types.NamespacedName, nodes []string, ready bool) []discoveryv1.Endpoint {
	hash := fnv.New32a()
	// A hash takes every write.
	_, _ = hash.Write([]byte(app.String()))
	sum := hash.Sum32()
	return []discoveryv1.Endpoint{{
		Addresses:  []string{netip.AddrFrom4([4]byte{10, 64 + byte(sum>>16)%64, byte(sum >> 8), byte(sum)}).String()},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready, Terminating: new(false)},
		NodeName:   &nodes[int(sum%uint32(len(nodes)))],
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: app.Namespace, Name: app.Name + "-6d5d5b8f9c-abcde"},
	}}
}
