package reachability

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/internal/nodeport"
)

// service is what a report must cover to say something of an app, and at which node port
// and in which IP families.
type service struct {
	since      version
	nodePort   uint16
	ipv4, ipv6 bool
}

func serviceOf(app *AppState) service {
	return service{
		since: app.since, nodePort: app.NodePort(),
		ipv4: slices.Contains(app.Families, corev1.IPv4Protocol),
		ipv6: slices.Contains(app.Families, corev1.IPv6Protocol),
	}
}

func (s service) compare(other service) int {
	return cmp.Or(s.since.compare(other.since), cmp.Compare(s.nodePort, other.nodePort))
}

// services are those of all apps, the oldest first. They are immutable.
type services []service

func (s services) with(added service) services {
	if added.since == (version{}) || added.nodePort == 0 {
		return s
	}
	i, _ := slices.BinarySearchFunc(s, added, service.compare)
	next := append(make(services, 0, len(s)+1), s[:i]...)
	return append(append(next, added), s[i:]...)
}

func (s services) without(removed service) services {
	if i := slices.Index(s, removed); i >= 0 {
		return slices.Delete(slices.Clone(s), i, i+1)
	}
	return s
}

// covered returns how many of the services a report at a version covers.
func (s services) covered(by version) int {
	if by == (version{}) {
		return 0
	}
	return sort.Search(len(s), func(i int) bool { return by.compare(s[i].since) < 0 })
}

// portsAt returns the node ports of the services in the IP family of an address.
func (s services) portsAt(address netip.Addr) nodeport.Set {
	ports := make([]uint16, 0, len(s))
	for i := range s {
		if address.Is4() && s[i].ipv4 || !address.Is4() && s[i].ipv6 {
			ports = append(ports, s[i].nodePort)
		}
	}
	return nodeport.Of(ports...)
}
