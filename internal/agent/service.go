package agent

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// service is what an agent keeps of a Service: whatever decides what is dialled
// and what the answer is worth. A Service whose service stays equal keeps its
// results; any difference drops them.
type service struct {
	key        types.NamespacedName
	uid        types.UID
	port       uint16
	ipv4, ipv6 bool

	// routing stands for what decides which pods get the traffic.
	routing uint64

	// clusterIPs are the Service's, of IPv4 and of IPv6, with its port.
	clusterIPs [2]netip.AddrPort

	probe protocol.Probe
}

// dialledOn tells whether the Service has the IP family of address.
func (s service) dialledOn(address netip.Addr) bool {
	return address.Is4() && s.ipv4 || address.Is6() && s.ipv6
}

// serviceOf returns what to keep of svc, and false for a Service that is not the
// operator's or has no node port of its app. Ports that others added are not dialled.
func serviceOf(svc *corev1.Service) (service, bool) {
	if svc.Spec.Type != corev1.ServiceTypeNodePort || !ownedByExposedApp(svc) {
		return service{}, false
	}
	i := slices.IndexFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Name == v1alpha1.PortName && p.NodePort > 0 && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "")
	})
	if i < 0 {
		return service{}, false
	}
	port := svc.Spec.Ports[i]
	routing := fnv.New64a()
	// Maps are printed in the order of their keys. A hash takes every write.
	_, _ = fmt.Fprintf(routing, "%q %q %q",
		svc.Spec.ExternalTrafficPolicy, port.TargetPort.String(), svc.Spec.Selector)
	return service{
		key:     types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name},
		uid:     svc.UID,
		port:    uint16(port.NodePort),
		ipv4:    slices.Contains(svc.Spec.IPFamilies, corev1.IPv4Protocol),
		ipv6:    slices.Contains(svc.Spec.IPFamilies, corev1.IPv6Protocol),
		routing: routing.Sum64(),
		probe:   protocol.DecodeProbe(svc.Annotations[v1alpha1.ProbeAnnotation]),

		clusterIPs: clusterIPsOf(svc, uint16(port.Port)),
	}, true
}

// clusterIPsOf returns the cluster IPs of svc, IPv4 first. One that it lacks is
// the zero AddrPort.
func clusterIPsOf(svc *corev1.Service, port uint16) (found [2]netip.AddrPort) {
	for _, text := range svc.Spec.ClusterIPs {
		// A headless Service has None.
		if address, err := netip.ParseAddr(text); err == nil {
			found[familyIndex(address.Is6())] = netip.AddrPortFrom(address, port)
		}
	}
	return found
}

// clusterIP returns the cluster IP of a family, the zero AddrPort if there is
// none.
func (s service) clusterIP(ipv6 bool) netip.AddrPort {
	return s.clusterIPs[familyIndex(ipv6)]
}

func familyIndex(ipv6 bool) int {
	if ipv6 {
		return 1
	}
	return 0
}

func ownedByExposedApp(svc *corev1.Service) bool {
	owner := metav1.GetControllerOfNoCopy(svc)
	if owner == nil || owner.Kind != "ExposedApp" {
		return false
	}
	gv, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && gv.Group == v1alpha1.SchemeGroupVersion.Group
}
