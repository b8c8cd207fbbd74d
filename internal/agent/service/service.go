// Package service extracts what an agent keeps of Services and EndpointSlices.
package service

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// Service is what decides what is dialled and what the answer is worth. A Service that
// stays equal keeps its results; any difference drops them.
type Service struct {
	Key        types.NamespacedName
	UID        types.UID
	Port       uint16
	IPv4, IPv6 bool

	// Routing stands for what decides which pods get the traffic.
	Routing uint64

	// ClusterIPs are the Service's, of IPv4 and of IPv6, with its port. One that it
	// lacks is the zero AddrPort.
	ClusterIPs [2]netip.AddrPort

	Probe protocol.Probe
}

// DialledOn reports whether the Service has the IP family of address.
func (s *Service) DialledOn(address netip.Addr) bool {
	return address.Is4() && s.IPv4 || address.Is6() && s.IPv6
}

// Of returns what to keep of svc, and false for a Service that is not the
// operator's or has no node port of its app. Ports that others added are not dialled.
func Of(svc *corev1.Service) (Service, bool) {
	if svc.Spec.Type != corev1.ServiceTypeNodePort || !ownedByExposedApp(svc) {
		return Service{}, false
	}
	i := slices.IndexFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Name == v1alpha1.PortName && p.NodePort > 0 && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "")
	})
	if i < 0 {
		return Service{}, false
	}
	port := svc.Spec.Ports[i]
	routing := fnv.New64a()
	// Maps are printed in the order of their keys. A hash takes every write.
	_, _ = fmt.Fprintf(routing, "%q %q %q",
		svc.Spec.ExternalTrafficPolicy, port.TargetPort.String(), svc.Spec.Selector)
	return Service{
		Key:     types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name},
		UID:     svc.UID,
		Port:    uint16(port.NodePort),
		IPv4:    slices.Contains(svc.Spec.IPFamilies, corev1.IPv4Protocol),
		IPv6:    slices.Contains(svc.Spec.IPFamilies, corev1.IPv6Protocol),
		Routing: routing.Sum64(),
		Probe:   protocol.DecodeProbe(svc.Annotations[v1alpha1.ProbeAnnotation]),

		ClusterIPs: clusterIPsOf(svc, uint16(port.Port)),
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

// ClusterIP returns the cluster IP of a family, the zero AddrPort if there is
// none.
func (s *Service) ClusterIP(ipv6 bool) netip.AddrPort {
	return s.ClusterIPs[familyIndex(ipv6)]
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

// portReuseDelay is how long a port is not dialled after its traffic began to go
// elsewhere: until then a proxy may still send it to the app that had the
// port before, whose answer would pass for the new one's.
const portReuseDelay = 1500 * time.Millisecond

// RecentOwners are the Services to which ports belonged a moment ago.
type RecentOwners map[uint16]recentOwner

type recentOwner struct {
	uid       types.UID
	routing   uint64
	notBefore time.Duration
}

// Add takes a Service that is gone.
func (o RecentOwners) Add(now time.Duration, svc Service) {
	maps.DeleteFunc(o, func(_ uint16, owner recentOwner) bool { return owner.notBefore <= now })
	o[svc.Port] = recentOwner{svc.UID, svc.Routing, now + portReuseDelay}
}

// NotBefore returns when the port of a Service that takes it over may be dialled, and
// forgets the former owner.
func (o RecentOwners) NotBefore(svc Service) time.Duration {
	before := o[svc.Port]
	delete(o, svc.Port)
	if before.uid == svc.UID && before.routing == svc.Routing {
		return 0
	}
	return before.notBefore
}
