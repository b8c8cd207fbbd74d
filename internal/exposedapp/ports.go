package exposedapp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// wantedPort returns the node port that an app is to have, 0 for any. What it was given
// once it keeps for life, whatever others make of its Service.
func wantedPort(app *v1alpha1.ExposedApp, live *corev1.Service) int32 {
	return cmp.Or(ptr.Deref(app.Spec.NodePort, 0), app.Status.NodePort, heldPort(live))
}

// ownPort returns the port of a Service that is its ExposedApp's, nil where there is
// none. It has a name: others may put ports of theirs before it.
func ownPort(service *corev1.Service) *corev1.ServicePort {
	if service == nil {
		return nil
	}
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		if port.Name == portName && protocolOf(port.Protocol) == corev1.ProtocolTCP {
			return port
		}
	}
	return nil
}

// heldPort returns the node port of an ExposedApp's Service, 0 where it has none.
func heldPort(service *corev1.Service) int32 {
	if port := ownPort(service); port != nil {
		return port.NodePort
	}
	return 0
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

// portToAskFor returns the node port to ask for, 0 for any, or why none can be had now.
func (r *Reconciler) portToAskFor(
	ctx context.Context, app *v1alpha1.ExposedApp, live *corev1.Service,
) (int32, *refusal) {
	nodePort, held := wantedPort(app, live), heldPort(live)
	if nodePort == held || nodePort == 0 {
		return nodePort, nil
	}
	refusal := r.unavailable(ctx, app, live, nodePort)
	if refusal.isStalled() && app.Spec.NodePort == nil {
		// The app was given this one once and lost it for good. Nobody asked for it by name.
		return held, nil
	}
	return nodePort, refusal
}

// refusedService turns the API server's answer to a Service into a refusal.
func (r *Reconciler) refusedService(app *v1alpha1.ExposedApp, nodePort int32, err error) *refusal {
	taken, outOfRange := portCause(err, nodePort)
	switch {
	case taken:
		// Who holds it is not in the cache yet, or no longer: otherwise it was not asked for.
		return &refusal{
			reason:  v1alpha1.ReasonPortConflict,
			message: fmt.Sprintf("%d is held by another Service: %s", nodePort, wayOut),
			retry:   fmt.Errorf("node port %d is taken, and its holder is not known yet", nodePort),
		}
	case outOfRange != "" && app.Spec.NodePort != nil:
		return &refusal{
			reason: v1alpha1.ReasonPortOutOfRange,
			message: fmt.Sprintf("node port %d: %s: set spec.nodePort to a port of that range, "+
				"or leave it out to have one picked", nodePort, outOfRange),
			stalled: true,
			again:   askSeldom,
		}
	}
	return refused("Service", err)
}

// wayOut is what a human can do about a node port that is taken.
const wayOut = "free it there, set spec.nodePort to another port, or leave it out to have one picked"

// holderOf returns a Service other than the app's own that holds a node port, nil where
// none is known. An index would take half a KiB for each Service, and this is seldom asked.
func (r *Reconciler) holderOf(app *v1alpha1.ExposedApp, nodePort int32) *corev1.Service {
	for _, object := range r.services.List() {
		service, ok := object.(*corev1.Service)
		if !ok || !slices.Contains(heldPorts(service), nodePort) {
			continue
		}
		if service.Namespace != app.Namespace || service.Name != app.Name {
			return service
		}
	}
	return nil
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

// named names an object in a message.
func named(kind string, object client.Object) string {
	return fmt.Sprintf("%s %s/%s", kind, object.GetNamespace(), object.GetName())
}
