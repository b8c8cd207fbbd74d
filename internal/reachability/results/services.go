package results

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"github.com/exposedapp/exposedapp/internal/nodeport"
)

// Service is what a report must cover to say something of an app, and at which node port
// and in which IP families.
type Service struct {
	Since      Version
	NodePort   uint16
	IPv4, IPv6 bool
}

func (s Service) compare(other Service) int {
	return cmp.Or(s.Since.Compare(other.Since), cmp.Compare(s.NodePort, other.NodePort))
}

// Services are those of all apps, the oldest first. They are immutable.
type Services []Service

// With returns the services and another one.
func (s Services) With(added Service) Services {
	if added.Since == (Version{}) || added.NodePort == 0 {
		return s
	}
	i, _ := slices.BinarySearchFunc(s, added, Service.compare)
	next := append(make(Services, 0, len(s)+1), s[:i]...)
	return append(append(next, added), s[i:]...)
}

// Without returns the services but for one of those that are the same.
func (s Services) Without(removed Service) Services {
	if i := slices.Index(s, removed); i >= 0 {
		return slices.Delete(slices.Clone(s), i, i+1)
	}
	return s
}

// Covered returns how many of the services a report at a version covers.
func (s Services) Covered(by Version) int {
	if by == (Version{}) {
		return 0
	}
	return sort.Search(len(s), func(i int) bool { return by.Compare(s[i].Since) < 0 })
}

// PortsAt returns the node ports of the services in the IP family of an address.
func (s Services) PortsAt(address netip.Addr) nodeport.Set {
	ports := make([]uint16, 0, len(s))
	for i := range s {
		if address.Is4() && s[i].IPv4 || !address.Is4() && s[i].IPv6 {
			ports = append(ports, s[i].NodePort)
		}
	}
	return nodeport.Of(ports...)
}
