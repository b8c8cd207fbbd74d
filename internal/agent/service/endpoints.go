package service

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Endpoints is what an agent keeps of an EndpointSlice.
type Endpoints struct {
	// Slice is its name.
	Slice   string
	Service types.NamespacedName

	// Sum stands for the set of ready or serving endpoints. That of several
	// slices is the sum of theirs, in whatever way they share the endpoints.
	Sum uint64

	// Ready is one ready endpoint, if there is one.
	Ready netip.AddrPort
}

// EndpointsOf returns what to keep of an EndpointSlice, and false for one that
// is no Service's or holds no IP addresses.
func EndpointsOf(slice *discoveryv1.EndpointSlice) (Endpoints, bool) {
	name := slice.Labels[discoveryv1.LabelServiceName]
	if name == "" || slice.AddressType == discoveryv1.AddressTypeFQDN {
		return Endpoints{}, false
	}
	e := Endpoints{Slice: slice.Name, Service: types.NamespacedName{Namespace: slice.Namespace, Name: name}}
	port := portOf(slice)
	for _, endpoint := range slice.Endpoints {
		if len(endpoint.Addresses) == 0 {
			continue
		}
		// Unknown means ready, and serving means the same as ready.
		ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
		serving := ready
		if endpoint.Conditions.Serving != nil {
			serving = *endpoint.Conditions.Serving
		}
		if !ready && !serving {
			continue
		}
		hash := fnv.New64a()
		// A hash takes every write.
		_, _ = fmt.Fprint(hash, endpoint.Addresses[0], " ", port, ready, serving)
		e.Sum += hash.Sum64()
		address, err := netip.ParseAddr(endpoint.Addresses[0])
		if err != nil || !ready || port == 0 {
			continue
		}
		if !e.Ready.IsValid() || address.Less(e.Ready.Addr()) {
			e.Ready = netip.AddrPortFrom(address, port)
		}
	}
	return e, true
}

func portOf(slice *discoveryv1.EndpointSlice) uint16 {
	for _, port := range slice.Ports {
		if port.Port != nil && (port.Protocol == nil || *port.Protocol == corev1.ProtocolTCP) {
			return uint16(*port.Port)
		}
	}
	return 0
}

// Sets are EndpointSlices by Service, nil until all have been listed.
type Sets map[types.NamespacedName][]Endpoints

// Sum stands for the set of ready or serving endpoints of a Service.
func (s Sets) Sum(service types.NamespacedName) (sum uint64) {
	for _, e := range s[service] {
		sum += e.Sum
	}
	return sum
}

// Ready returns a ready endpoint of a Service, the zero AddrPort if there is none.
func (s Sets) Ready(service types.NamespacedName, ipv6 bool) (ready netip.AddrPort) {
	for _, e := range s[service] {
		if e.Ready.IsValid() && e.Ready.Addr().Is6() == ipv6 && (!ready.IsValid() || e.Ready.Compare(ready) < 0) {
			ready = e.Ready
		}
	}
	return ready
}

// Drop takes the EndpointSlice of e out of those of its Service. Nearly always there is
// one.
func (s Sets) Drop(e Endpoints) {
	left := slices.DeleteFunc(s[e.Service], func(other Endpoints) bool { return other.Slice == e.Slice })
	if len(left) == 0 {
		delete(s, e.Service)
	} else {
		s[e.Service] = left
	}
}
