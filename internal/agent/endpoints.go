package agent

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// followTime is how long after a change of endpoints a Service is probed:
	// kube-proxy learns of the change when this agent does, and needs a moment.
	followTime = 300 * time.Millisecond

	// stirPause is the least time between two probes for a change of endpoints.
	stirPause = time.Second
)

// endpoints is what an agent keeps of an EndpointSlice.
type endpoints struct {
	// slice is its name.
	slice   string
	service types.NamespacedName

	// sum stands for the set of ready or serving endpoints. That of several
	// slices is the sum of theirs, in whatever way they share the endpoints.
	sum uint64

	// ready is one ready endpoint, if there is one.
	ready netip.AddrPort
}

// endpointsOf returns what to keep of an EndpointSlice, and false for one that
// is no Service's or holds no IP addresses.
func endpointsOf(slice *discoveryv1.EndpointSlice) (endpoints, bool) {
	name := slice.Labels[discoveryv1.LabelServiceName]
	if name == "" || slice.AddressType == discoveryv1.AddressTypeFQDN {
		return endpoints{}, false
	}
	e := endpoints{slice: slice.Name, service: types.NamespacedName{Namespace: slice.Namespace, Name: name}}
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
		e.sum += hash.Sum64()
		address, err := netip.ParseAddr(endpoint.Addresses[0])
		if err != nil || !ready || port == 0 {
			continue
		}
		if !e.ready.IsValid() || address.Less(e.ready.Addr()) {
			e.ready = netip.AddrPortFrom(address, port)
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

// setEndpoints takes a new or changed EndpointSlice.
func (s *schedule) setEndpoints(now time.Duration, e endpoints) {
	s.tracking.sought = false
	if s.endpoints == nil {
		s.endpoints = map[types.NamespacedName][]endpoints{}
	}
	before := sumOf(s.endpoints[e.service])
	s.endpoints[e.service] = append(s.otherEndpoints(e), e)
	if sumOf(s.endpoints[e.service]) != before {
		s.stir(now, e.service)
	}
}

// deleteEndpoints takes the end of an EndpointSlice.
func (s *schedule) deleteEndpoints(now time.Duration, e endpoints) {
	s.tracking.sought = false
	before := sumOf(s.endpoints[e.service])
	left := s.otherEndpoints(e)
	if sumOf(left) != before {
		s.stir(now, e.service)
	}
	if len(left) == 0 {
		delete(s.endpoints, e.service)
		return
	}
	s.endpoints[e.service] = left
}

// otherEndpoints takes the EndpointSlice of e out of those of its Service. Nearly
// always there is one.
func (s *schedule) otherEndpoints(e endpoints) []endpoints {
	return slices.DeleteFunc(s.endpoints[e.service], func(other endpoints) bool { return other.slice == e.slice })
}

// replaceEndpoints takes all EndpointSlices there are. The first time that tells
// of no change.
func (s *schedule) replaceEndpoints(now time.Duration, all map[types.NamespacedName][]endpoints) {
	before := s.endpoints
	s.endpoints = all
	s.tracking.sought = false
	if before == nil {
		return
	}
	for service := range s.ports {
		if sumOf(before[service]) != sumOf(all[service]) {
			s.stir(now, service)
		}
	}
}

func sumOf(all []endpoints) (sum uint64) {
	for _, e := range all {
		sum += e.sum
	}
	return sum
}

// readyEndpoint returns a ready endpoint of a Service, the zero AddrPort if
// there is none.
func (s *schedule) readyEndpoint(service types.NamespacedName, ipv6 bool) (ready netip.AddrPort) {
	for _, e := range s.endpoints[service] {
		if e.ready.IsValid() && e.ready.Addr().Is6() == ipv6 && (!ready.IsValid() || e.ready.Compare(ready) < 0) {
			ready = e.ready
		}
	}
	return ready
}

// stir has a Service probed soon, because its endpoints changed. What is known of
// it stays.
func (s *schedule) stir(now time.Duration, service types.NamespacedName) {
	port, ok := s.ports[service]
	if !ok {
		return
	}
	r := s.rows[port]
	r.changed = now
	if _, planned := s.stirs[port]; !planned {
		s.stirs[port] = max(now+followTime, r.stirred+stirPause)
	}
}

// stirDue returns when the next Service is to be probed because of its
// endpoints.
func (s *schedule) stirDue() time.Duration {
	due := never
	for _, at := range s.stirs {
		due = min(due, at)
	}
	return due
}

// follow probes the Services whose time has come after a change of their
// endpoints. On a larger cluster the observers of an app spread that, as with a
// new Service.
func (s *schedule) follow(now time.Duration) {
	for port, at := range s.stirs {
		if at > now {
			continue
		}
		delete(s.stirs, port)
		r := s.rows[port]
		if r.changed+followTime > now {
			s.stirs[port] = now + stirPause
		}
		r.stirred = now
		for i := range r.pairs {
			p := &r.pairs[i]
			if p.state == undialled {
				continue
			}
			if p.state == failing {
				p.since = now
			}
			s.hasten(p, now+s.spread(p))
		}
	}
}
