package reachability

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// site is an address of a node.
type site struct {
	address netip.Addr
	// text is the address in writing.
	text string
	// agreed is what all observers say of it. It is nil until that is asked for, and
	// again when a report on it came or went.
	agreed *agreement
}

// place is a node with its sites at hand: an app is judged on thousands of nodes, and to
// look them up took half of the time.
type place struct {
	Node
	ipv4, ipv6 *site
}

func placeOf(node Node, sites map[netip.Addr]*site) place {
	return place{
		Node: node,
		ipv4: sites[node.Addresses[corev1.IPv4Protocol]], ipv6: sites[node.Addresses[corev1.IPv6Protocol]],
	}
}

// in returns the site in an IP family, nil if the node has no address there.
func (p *place) in(family corev1.IPFamily) *site {
	if family == corev1.IPv6Protocol {
		return p.ipv6
	}
	return p.ipv4
}
