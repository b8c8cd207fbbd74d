package workload

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// WantedPort returns the node port that an app is to have, 0 for any. What it was given
// once it keeps for life, whatever others make of its Service.
func WantedPort(app *v1alpha1.ExposedApp, live *corev1.Service) int32 {
	return cmp.Or(ptr.Deref(app.Spec.NodePort, 0), app.Status.NodePort, HeldPort(live))
}

// OwnPort returns the port of a Service that is its ExposedApp's, nil where there is
// none. It has a name: others may put ports of theirs before it.
func OwnPort(service *corev1.Service) *corev1.ServicePort {
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

// HeldPort returns the node port of an ExposedApp's Service, 0 where it has none.
func HeldPort(service *corev1.Service) int32 {
	if port := OwnPort(service); port != nil {
		return port.NodePort
	}
	return 0
}

// HeldPorts returns every node port that a Service of any kind holds.
func HeldPorts(service *corev1.Service) []int32 {
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

func protocolOf(protocol corev1.Protocol) corev1.Protocol {
	return cmp.Or(protocol, corev1.ProtocolTCP)
}
