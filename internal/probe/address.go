package probe

import "net/netip"

// Dialable reports whether an address may be a node's. A compromised kubelet can
// set its own addresses: none may lead an agent to dial itself or a link-local
// service, such as a cloud's metadata server.
func Dialable(address netip.Addr) bool {
	return address.IsGlobalUnicast() && !address.Is4In6() && address.Zone() == ""
}
