package nodereachability_test

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
)

func TestAddresses(t *testing.T) {
	const internal, external, hostname = corev1.NodeInternalIP, corev1.NodeExternalIP, corev1.NodeHostName
	tests := map[string]struct {
		addresses  []corev1.NodeAddress
		ipv4, ipv6 string
	}{
		"none": {},
		"the first InternalIP": {
			addresses: []corev1.NodeAddress{{Type: internal, Address: "10.0.0.1"}, {Type: internal, Address: "10.0.0.2"}},
			ipv4:      "10.0.0.1",
		},
		"one per family": {
			addresses: []corev1.NodeAddress{
				{Type: internal, Address: "fd00::1"}, {Type: internal, Address: "10.0.0.1"},
				{Type: internal, Address: "fd00::2"},
			},
			ipv4: "10.0.0.1", ipv6: "fd00::1",
		},
		"InternalIP before ExternalIP, whatever their order": {
			addresses: []corev1.NodeAddress{
				{Type: external, Address: "203.0.113.7"}, {Type: internal, Address: "10.0.0.1"},
			},
			ipv4: "10.0.0.1",
		},
		"ExternalIP where the family has no InternalIP": {
			addresses: []corev1.NodeAddress{
				{Type: internal, Address: "10.0.0.1"}, {Type: external, Address: "2001:db8::1"},
			},
			ipv4: "10.0.0.1", ipv6: "2001:db8::1",
		},
		"the first that may be dialled": {
			addresses: []corev1.NodeAddress{
				{Type: internal, Address: "127.0.0.1"}, {Type: internal, Address: "169.254.169.254"},
				{Type: internal, Address: "10.0.0.1"},
			},
			ipv4: "10.0.0.1",
		},
		"ExternalIP where no InternalIP may be dialled": {
			addresses: []corev1.NodeAddress{
				{Type: internal, Address: "127.0.0.1"}, {Type: external, Address: "203.0.113.7"},
			},
			ipv4: "203.0.113.7",
		},
		"nothing that is not an address, and no host name": {
			addresses: []corev1.NodeAddress{
				{Type: internal, Address: "example.com"}, {Type: internal, Address: "10.0.0.1:80"},
				{Type: internal, Address: "10.0.0.1/24"}, {Type: internal}, {Type: hostname, Address: "10.0.0.1"},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := map[corev1.IPFamily]netip.Addr{}
			if test.ipv4 != "" {
				want[corev1.IPv4Protocol] = netip.MustParseAddr(test.ipv4)
			}
			if test.ipv6 != "" {
				want[corev1.IPv6Protocol] = netip.MustParseAddr(test.ipv6)
			}
			node := &corev1.Node{Status: corev1.NodeStatus{Addresses: test.addresses}}
			NewWithT(t).Expect(nodereachability.Addresses(node)).To(Equal(want))
		})
	}
}
