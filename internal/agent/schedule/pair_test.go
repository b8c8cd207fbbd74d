package schedule

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/agent/workers"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// mustBeLegal panics unless every pair is in a line of the table at type pair. The tests
// call it after each step of a schedule.
func mustBeLegal(s *Schedule) {
	unproven := 0
	for p := range s.all() {
		for rule, holds := range rulesOf(s, p) {
			if !holds {
				panic(fmt.Sprintf("%s: %s: %+v", p.target(), rule, *p))
			}
		}
		if p.state == pending {
			unproven++
		}
	}
	if unproven != s.pending {
		panic(fmt.Sprintf("%d pairs are pending, and %d are counted", unproven, s.pending))
	}
	for _, p := range s.queue.Items {
		if s.pair(p.target()) != p {
			panic(fmt.Sprintf("%s is queued, and not in the table", p.target()))
		}
	}
}

// rulesOf returns the lines of the table, and whether p keeps to them.
func rulesOf(s *Schedule, p *pair) map[string]bool {
	threshold := p.row.service.Probe.Threshold
	queued, waits := s.queue.Contains(p), p.waits != workers.None
	is := func(states ...state) bool { return slices.Contains(states, p.state) }
	idle := !queued && !waits && p.inFlight == 0
	return map[string]bool{
		"an undialled pair is idle, and a dialled one is not":  idle == is(undialled),
		"a pair is not queued while it waits":                  !queued || !waits,
		"a failing pair failed as often as the threshold says": !is(failing) || p.failed == threshold,
		"failures in a row have an end":                        p.failed <= threshold,
		"an undialled pair never failed":                       !is(undialled) || p.failed == 0,
		"a pair with a result failed less often":               !is(reached, translated, ownHost) || p.failed < threshold,
		"a failing pair has a result, and no other":            is(failing) == (p.result != probe.Result{}),
		"trouble is of what was reached":                       !p.troubled || is(reached, failing, pending),
		"a failing pair of another node is diagnosed":          !is(failing) || p.diagnosing == s.foreign(p.address),
		"no other is, unless it is in trouble":                 !p.diagnosing || is(failing) || p.troubled && (is(reached) || p.wasReached),
		"want of a pod is a failure":                           !p.podless || is(failing),
		"what was reached is pending":                          !p.wasReached || is(pending),
		"a detour is of a translated pair":                     p.detour == nil || is(translated),
		"a probe follows one that is under way":                !p.again || p.inFlight > 0,
		"a pair is not due before its port opens":              !queued || p.due >= p.row.opens,
	}
}

// TestPairsStayLegal plays random events to a schedule, and looks at all pairs after each.
func TestPairsStayLegal(t *testing.T) {
	nodes := addresses("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "fd00::1")
	results := []probe.Result{
		{}, {}, refused(), timedOut(), {Reason: probe.NotDialled}, along(probe.Result{}, probe.Direct),
		elsewhere(probe.Result{}, backend), elsewhere(timedOut(), otherBackend), atHome(probe.Result{}),
	}
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g, random := NewWithT(t), rand.New(rand.NewPCG(seed, 0))
			s := New(1 + random.IntN(12))
			svc := func() service.Service {
				svc := onPorts(uint16(30000 + random.IntN(6)))[0]
				svc.IPv6, svc.Probe.Threshold = random.IntN(2) == 0, uint8(1+random.IntN(3))
				svc.ClusterIPs[0] = netip.MustParseAddrPort("10.96.0.1:80")
				return svc
			}
			e := func() service.Endpoints {
				return service.Endpoints{Slice: "a", Service: svc().Key, Sum: random.Uint64N(2), Ready: backend}
			}
			some := func(n int) (some []netip.Addr) {
				for _, address := range nodes {
					if random.IntN(n) > 0 {
						some = append(some, address)
					}
				}
				return some
			}
			now, round := time.Duration(0), int64(0)
			var runs []ProbeRun
			events := []func(){
				func() { s.SetService(now, svc()) },
				func() { s.DeleteService(now, svc().Key) },
				func() { s.SetEndpoints(now, e()) },
				func() { s.DeleteEndpoints(now, e()) },
				func() { s.ResumeAfterSuspend(now) },
				func() { s.Cut(now) },
				func() {
					s.Assign(now, Assignment{
						Addresses: some(4), Own: nodes[random.IntN(2):1], Size: 1 + random.IntN(100),
						Heartbeat: protocol.PromptHeartbeat,
					})
				},
				func() {
					round++
					s.Recheck(now, protocol.Recheck{Round: round, Addresses: some(2), Ports: nodeport.Of(30001, 30002)})
				},
				func() {
					if p, ok := s.StartDiagnosis(now); ok {
						s.FinishDiagnosis(now, p, results[random.IntN(len(results))])
					}
				},
			}
			for range 2000 {
				switch event := random.IntN(200); {
				case event < len(events):
					events[event]()
				case event < 90 && len(runs) > 0:
					i := random.IntN(len(runs))
					s.Finish(now, runs[i], results[random.IntN(len(results))])
					runs = append(runs[:i], runs[i+1:]...)
				case event < 150:
					if run, ok := s.Start(now); ok {
						runs = append(runs, run)
						p := s.pair(run.Target.Address)
						g.Expect(p.hedged() || p.inFlight == 1).To(BeTrue(), "it has one probe under way")
					}
				case event < 170:
					now = max(now, min(s.NextDeadline(), now+time.Minute))
				default:
					now += time.Duration(random.IntN(200)) * time.Millisecond
				}
				s.Advance(now)
				mustBeLegal(s)
			}
			s.ReplaceServices(now, nil)
			for _, run := range runs {
				s.Finish(now, run, probe.Result{})
			}
			g.Expect(s.queue.Items).To(BeEmpty())
			g.Expect(s.workers.UnderWay).To(BeZero())
			g.Expect(s.diagnosis.Due()).To(Equal(never), "nothing is left to diagnose")
		})
	}
}
