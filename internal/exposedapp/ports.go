package exposedapp

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// wantedPort returns the node port to ask for, 0 for any. A port that was
// allocated once is kept. The API server does so itself for as long as the
// Service's own port stays; where that changes, or the Service has to be made
// again, the operator asks for it.
func wantedPort(app *v1alpha1.ExposedApp, live *corev1.Service) int32 {
	switch {
	case app.Spec.NodePort != nil:
		return *app.Spec.NodePort
	case heldPort(live) != 0 && live.Spec.Ports[0].Port == app.Spec.Service.Port:
		return 0
	case heldPort(live) != 0:
		return heldPort(live)
	default:
		return app.Status.NodePort
	}
}

// heldPort returns the node port of an ExposedApp's Service, 0 where it has none.
func heldPort(service *corev1.Service) int32 {
	if service == nil || len(service.Spec.Ports) == 0 {
		return 0
	}
	return service.Spec.Ports[0].NodePort
}

// heldPorts returns every node port that a Service of any kind holds.
func heldPorts(service *corev1.Service) []int32 {
	var ports []int32
	for i := range service.Spec.Ports {
		if nodePort := service.Spec.Ports[i].NodePort; nodePort != 0 {
			ports = append(ports, nodePort)
		}
	}
	if service.Spec.HealthCheckNodePort != 0 {
		ports = append(ports, service.Spec.HealthCheckNodePort)
	}
	return ports
}

// refusedService turns the API server's answer to a Service into a refusal, and
// names who holds a port that is taken.
func (r *Reconciler) refusedService(
	ctx context.Context, app *v1alpha1.ExposedApp, nodePort int32, err error,
) *refusal {
	switch taken, outOfRange := portCause(err); {
	case taken:
		return r.portTaken(ctx, app, nodePort)
	case outOfRange != "":
		return &refusal{
			reason: v1alpha1.ReasonPortOutOfRange,
			message: fmt.Sprintf("node port %d: %s: set spec.nodePort to a port of that range, "+
				"or leave it out to have one picked", nodePort, outOfRange),
			stalled: true,
		}
	}
	return refused("Service", err)
}

// portTaken names the holder of a node port, which it looks for among all Services: an
// index would take half a KiB for each, and this is seldom asked. A holder that is on its
// way out needs no human.
func (r *Reconciler) portTaken(ctx context.Context, app *v1alpha1.ExposedApp, nodePort int32) *refusal {
	const wayOut = "free it there, set spec.nodePort to another port, or leave it out to have one picked"
	var services corev1.ServiceList
	if err := r.Client.List(ctx, &services, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return refused("Service", fmt.Errorf("look up who holds node port %d: %w", nodePort, err))
	}
	for i := range services.Items {
		holder := &services.Items[i]
		own := holder.Namespace == app.Namespace && holder.Name == app.Name
		if own || !slices.Contains(heldPorts(holder), nodePort) {
			continue
		}
		if r.leaving(ctx, holder) {
			return &refusal{
				reason: v1alpha1.ReasonPortConflict,
				message: fmt.Sprintf("%d is held by Service %s/%s, which is being deleted: waiting for the port",
					nodePort, holder.Namespace, holder.Name),
			}
		}
		return &refusal{
			reason: v1alpha1.ReasonPortConflict,
			message: fmt.Sprintf("%d is held by Service %s/%s: %s",
				nodePort, holder.Namespace, holder.Name, wayOut),
			stalled: true,
		}
	}
	// The Service that holds it is not in the cache yet, or no longer.
	return &refusal{
		reason:  v1alpha1.ReasonPortConflict,
		message: fmt.Sprintf("%d is held by another Service: %s", nodePort, wayOut),
		retry:   fmt.Errorf("node port %d is taken, and its holder is not known yet", nodePort),
	}
}

// leaving tells whether a Service is being deleted, or waits for the garbage
// collector because its ExposedApp is gone.
func (r *Reconciler) leaving(ctx context.Context, service *corev1.Service) bool {
	owner := metav1.GetControllerOf(service)
	switch {
	case service.DeletionTimestamp != nil:
		return true
	case owner == nil || owner.Kind != "ExposedApp":
		return false
	}
	var app v1alpha1.ExposedApp
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(service), &app,
		client.DisableReadYourWritesConsistency)
	return client.IgnoreNotFound(err) == nil && (err != nil || app.UID != owner.UID || app.DeletionTimestamp != nil)
}

// olderClaim returns a refusal where an older ExposedApp asks for the same node
// port: the oldest of all has it.
func (r *Reconciler) olderClaim(app *v1alpha1.ExposedApp, nodePort int32) *refusal {
	rivals, err := r.claims.find(strconv.Itoa(int(nodePort)))
	if err != nil {
		return refused("Service", fmt.Errorf("who asks for node port %d: %w", nodePort, err))
	}
	first := app
	for _, rival := range rivals {
		if rival.DeletionTimestamp == nil && !suspended(rival) && older(rival, first) {
			first = rival
		}
	}
	if first == app {
		return nil
	}
	return &refusal{
		reason: v1alpha1.ReasonPortConflict,
		message: fmt.Sprintf("%d is claimed by ExposedApp %s/%s, which is older: set spec.nodePort to "+
			"another port, or leave it out to have one picked", nodePort, first.Namespace, first.Name),
		stalled: true,
	}
}

// older orders ExposedApps by age, and by name those of the same second.
func older(a, b *v1alpha1.ExposedApp) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}

func servicePorts(service *corev1.Service) []string {
	var keys []string
	for _, nodePort := range heldPorts(service) {
		keys = append(keys, strconv.Itoa(int(nodePort)))
	}
	return keys
}

func claimedPort(app *v1alpha1.ExposedApp) []string {
	if nodePort := ptr.Deref(app.Spec.NodePort, 0); nodePort != 0 {
		return []string{strconv.Itoa(int(nodePort))}
	}
	return nil
}
