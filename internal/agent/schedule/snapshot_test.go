package schedule

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// known is a schedule of pairs that are what is says.
func known(
	addresses []netip.Addr, services []service.Service, is func(service.Service, netip.Addr) (state, probe.Result),
) *Schedule {
	s := New(1)
	assign(s, 0, addresses, protocol.PromptHeartbeat)
	s.ReplaceServices(0, services)
	for _, r := range s.rows {
		for i := range r.pairs {
			if p := &r.pairs[i]; p.state != undialled {
				state, result := is(r.service, p.address)
				s.conclude(p, state, result)
			}
		}
	}
	return s
}

// TestSurvey: every pair is in the snapshot as it is in the schedule, with the
// ports of its family.
func TestSurvey(t *testing.T) {
	results := []probe.Result{{}, {Reason: probe.NotDialled}, refused(), timedOut()}
	for seed := range uint64(20) {
		g := NewWithT(t)
		random := rand.New(rand.NewPCG(seed, 0))
		services := onPorts()
		for _, offset := range random.Perm(300)[:random.IntN(100)] {
			svc := onPorts(uint16(30000 + offset))[0]
			svc.ClusterIPs[0] = netip.MustParseAddrPort("10.96.0.1:80")
			svc.IPv4, svc.IPv6 = random.IntN(4) > 0, random.IntN(2) > 0
			services = append(services, svc)
		}
		s := known(addresses("10.0.0.1", "10.0.0.2", "fd00::1"), services,
			func(service.Service, netip.Addr) (state, probe.Result) {
				state := []state{pending, reached, failing}[random.IntN(3)]
				if state != failing {
					return state, probe.Result{}
				}
				return state, []probe.Result{refused(), timedOut()}[random.IntN(2)]
			})
		for {
			p, ok := s.StartDiagnosis(0)
			if !ok {
				break
			}
			s.FinishDiagnosis(0, p, results[random.IntN(len(results))])
		}
		snapshot := s.Snapshot(0)
		g.Expect(snapshot.Addresses).To(Equal(s.addresses))
		pairs := 0
		for _, r := range s.rows {
			g.Expect(snapshot.IPv4.Contains(r.service.Port)).To(Equal(r.service.IPv4))
			g.Expect(snapshot.IPv6.Contains(r.service.Port)).To(Equal(r.service.IPv6))
			for i := range r.pairs {
				p := &r.pairs[i]
				failures, pendings := covering(snapshot.Failures, p), covering(snapshot.Pending, p)
				switch p.state {
				case failing:
					g.Expect(failures).To(ConsistOf(HaveField("FailureCause", reporter.FailureCause{Result: p.result, Evidence: s.diagnosis.Evidence(s.paths(p))})))
					g.Expect(pendings).To(BeEmpty())
				case pending:
					g.Expect(failures).To(BeEmpty())
					g.Expect(pendings).To(HaveLen(1))
				default:
					g.Expect(failures).To(BeEmpty())
					g.Expect(pendings).To(BeEmpty())
				}
				pairs++
			}
		}
		g.Expect(pairs).To(Equal(3 * len(services)))
	}
}

// covering are the findings that name p.
func covering(findings []reporter.PairFinding, p *pair) []reporter.PairFinding {
	var covering []reporter.PairFinding
	for _, f := range findings {
		if f.Ports.Contains(p.row.service.Port) && slices.Contains(f.Addresses, p.address) {
			covering = append(covering, f)
		}
	}
	return covering
}

// TestSurveyAsStatus: what the operator reads of a dead app, a dead node, a new
// app, and a family that an app lacks.
func TestSurveyAsStatus(t *testing.T) {
	nodes := addresses("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1")
	s := known(nodes, onPorts(30000, 30001, 30002, 30003), func(svc service.Service, address netip.Addr) (state, probe.Result) {
		switch {
		case svc.Port == 30003:
			return pending, probe.Result{}
		case address == nodes[2]:
			return failing, timedOut()
		case svc.Port == 30001:
			return failing, refused()
		default:
			return reached, probe.Result{}
		}
	})
	g := NewWithT(t)
	g.Expect(json.Marshal(s.Snapshot(0).Status())).To(MatchJSON(`{
		"addresses": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"], "nodePorts": "30000-30003",
		"failures": [
			{"reason": "ConnectionRefused", "message": "connect: connection refused",
				"nodePorts": "30001", "addresses": ["10.0.0.1", "10.0.0.2"]},
			{"reason": "Timeout", "message": "i/o timeout",
				"nodePorts": "30000-30002", "addresses": ["10.0.0.3"]}],
		"pending": [{"nodePorts": "30003", "addresses": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]}]}`))
}
