package probe_test

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/probe"
)

func TestDialable(t *testing.T) {
	tests := map[string]struct {
		addresses []string
		want      bool
	}{
		"private":         {addresses: []string{"10.0.0.1", "172.18.0.4", "192.168.1.7", "fd00::1"}, want: true},
		"shared":          {addresses: []string{"100.64.0.1"}, want: true},
		"public":          {addresses: []string{"203.0.113.7", "2001:db8::1"}, want: true},
		"loopback":        {addresses: []string{"127.0.0.1", "127.1.2.3", "::1"}},
		"link-local":      {addresses: []string{"169.254.169.254", "fe80::1"}},
		"multicast":       {addresses: []string{"224.0.0.1", "239.1.2.3", "ff02::1", "ff0e::1"}},
		"broadcast":       {addresses: []string{"255.255.255.255"}},
		"unspecified":     {addresses: []string{"0.0.0.0", "::"}},
		"IPv4 in IPv6":    {addresses: []string{"::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"}},
		"bound to a zone": {addresses: []string{"fe80::1%eth0", "fd00::1%eth0"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			for _, address := range test.addresses {
				g.Expect(probe.Dialable(netip.MustParseAddr(address))).To(Equal(test.want), address)
			}
		})
	}
	t.Run("none", func(t *testing.T) { NewWithT(t).Expect(probe.Dialable(netip.Addr{})).To(BeFalse()) })
}
