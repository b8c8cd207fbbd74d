package diagnosis

import (
	"fmt"
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/agent/workers"
)

// TestNothingIsLeftOfARecovery: whatever paths are tried for the lack of room, and in
// whatever order the pairs recover, none is left when all have.
func TestNothingIsLeftOfARecovery(t *testing.T) {
	g := NewWithT(t)
	pool := workers.New(128)
	d := New(&pool, func(uint16) *service.Service { return nil }, &service.Sets{})
	own := []netip.Addr{netip.MustParseAddr("10.0.0.99")}
	all := map[Paths]bool{}
	for port := range uint16(100) {
		for node := range 20 {
			all[PathsOf(netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", node+1)), 30000+port, own)] = true
		}
	}
	for paths := range all {
		d.Start(paths)
	}
	g.Expect(d.tried).To(HaveLen(2*maxApps + maxProxies + 1))
	for paths := range all {
		d.Stop(paths)
	}
	g.Expect(d.wanted).To(BeEmpty())
	g.Expect(d.tried).To(BeEmpty())
	g.Expect(d.tries).To(Equal([kinds]int{}))
}
