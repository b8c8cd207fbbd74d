package diagnosis

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// TestExpectedWay: what is not looked at is expected to go as the last dial did, the
// nearer the better.
func TestExpectedWay(t *testing.T) {
	g := NewWithT(t)
	ways, last := NewWays(), map[string]*probe.Way{
		"10.0.0.1:30000": new(probe.Way), "10.0.0.1:30001": new(probe.Way),
		"10.0.0.2:30000": new(probe.Way), "10.0.0.2:30001": new(probe.Way),
	}
	trace := func(target string, result *probe.Result) {
		ways.Trace(netip.MustParseAddrPort(target).Addr(), last[target], result)
	}
	seen := func(target string, way probe.Way) {
		trace(target, &probe.Result{Path: probe.Path{Way: way}})
	}
	expect := func(target string, way probe.Way) {
		t.Helper()
		result := probe.Result{Reason: probe.ConnectionRefused}
		trace(target, &result)
		g.Expect(result.Path.Way).To(Equal(way))
	}
	expect("10.0.0.1:30000", probe.Unverified)
	seen("10.0.0.2:30000", probe.Translated)
	expect("10.0.0.1:30000", probe.Translated)
	seen("10.0.0.1:30001", probe.Direct)
	expect("10.0.0.1:30000", probe.Direct)
	expect("10.0.0.2:30000", probe.Translated)
	expect("10.0.0.2:30001", probe.Translated)
	seen("10.0.0.1:30000", probe.Translated)
	expect("10.0.0.1:30000", probe.Translated)
	expect("10.0.0.1:30001", probe.Direct)
	g.Expect(ways.Dials()).To(Equal([]v1alpha1.DialCount{
		{Path: v1alpha1.DialDirect, Count: 3},
		{Path: v1alpha1.DialTranslated, Count: 6},
		{Path: v1alpha1.DialUnverified, Count: 1},
	}))

	ways.Keep([]netip.Addr{netip.MustParseAddr("10.0.0.2")})
	g.Expect(ways.byAddress).To(HaveLen(1), "of what is dialled")
	ways.Forget()
	*last["10.0.0.2:30000"] = probe.Unseen
	expect("10.0.0.2:30000", probe.Unverified)
}

// TestDetourFollows: where dials end is told anew when the endpoints have changed, and
// when it has not been seen for long.
func TestDetourFollows(t *testing.T) {
	g := NewWithT(t)
	backend, otherBackend := netip.MustParseAddrPort("10.1.0.7:9898"), netip.MustParseAddrPort("10.1.0.8:9898")
	var d *Detour
	var changed time.Duration
	see := func(now time.Duration, to netip.AddrPort) { d = d.See(now, to, changed) }
	see(time.Second, netip.AddrPort{})
	g.Expect(d).To(BeNil())
	see(2*time.Second, backend)
	see(3*time.Second, otherBackend)
	see(4*time.Second, netip.AddrPort{})
	g.Expect(d.To).To(Equal(backend))

	changed = 10 * time.Second
	see(11*time.Second, backend)
	g.Expect(d.To).To(Equal(backend))
	see(12*time.Second, otherBackend)
	g.Expect(d.To).To(Equal(otherBackend))
	see(13*time.Second, backend)
	g.Expect(d.To).To(Equal(otherBackend), "once per change")

	see(12*time.Second+detourTime, backend)
	g.Expect(d.To).To(Equal(backend))
}
