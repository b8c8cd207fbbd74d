package schedule

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/agent/diagnosis"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// TestEvidenceIsBounded: in a large outage, four attempts at once, about 64 apps
// and 16 nodes, and others take the place of those that recover.
func TestEvidenceIsBounded(t *testing.T) {
	g := NewWithT(t)
	var ports []uint16
	for port := uint16(30000); port < 30100; port++ {
		ports = append(ports, port)
	}
	services := onPorts(ports...)
	for i := range services {
		services[i].ClusterIPs[0] = netip.AddrPortFrom(netip.MustParseAddr("10.96.0.1"), services[i].Port)
	}
	var nodes []netip.Addr
	for i := range 20 {
		nodes = append(nodes, netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i+1)))
	}
	s := known(nodes, services, func(service.Service, netip.Addr) (state, probe.Result) { return failing, timedOut() })
	s.workers.Limit = 128

	tried := map[netip.AddrPort]bool{}
	for {
		var underWay []diagnosis.Probe
		for {
			a, ok := s.StartDiagnosis(time.Minute)
			if !ok {
				break
			}
			underWay = append(underWay, a)
			tried[a.Target.Address] = true
		}
		if len(underWay) == 0 {
			break
		}
		g.Expect(len(underWay)).To(BeNumerically("<=", 4))
		for _, a := range underWay {
			s.FinishDiagnosis(time.Minute, a, timedOut())
		}
	}
	g.Expect(tried).To(HaveLen(64 + 16))
	g.Expect(s.workers.UnderWay).To(BeZero())

	for target := range tried {
		for i := range s.addresses {
			if r := s.rows[target.Port()]; r != nil {
				s.conclude(&r.pairs[i], reached, probe.Result{})
			}
		}
	}
	a, ok := s.StartDiagnosis(time.Minute)
	g.Expect(ok).To(BeTrue())
	g.Expect(tried).NotTo(HaveKey(a.Target.Address))

	s.ReplaceServices(time.Minute, nil)
	g.Expect(s.diagnosis.Due()).To(Equal(never))
	g.Expect(s.FinishDiagnosis(time.Minute, a, timedOut())).To(BeFalse(), "its app is gone")
}
