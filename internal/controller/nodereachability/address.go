package nodereachability

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/internal/probe"
)

// Addresses returns the addresses of a node that may be dialled, at most one
// per IP family: its first usable InternalIP, or ExternalIP where it has none.
func Addresses(node *corev1.Node) map[corev1.IPFamily]netip.Addr {
	addresses := make(map[corev1.IPFamily]netip.Addr, 2)
	for _, kind := range []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP} {
		for _, candidate := range node.Status.Addresses {
			address, err := netip.ParseAddr(candidate.Address)
			if candidate.Type != kind || err != nil || !probe.Dialable(address) {
				continue
			}
			family := Family(address)
			if _, found := addresses[family]; !found {
				addresses[family] = address
			}
		}
	}
	return addresses
}

// Family returns the IP family of an address.
func Family(address netip.Addr) corev1.IPFamily {
	if address.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}
