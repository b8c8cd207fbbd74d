package agent

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// amongNodes has the node, at 10.0.0.9, dial itself and others, from 10.0.0.1 on,
// on apps ports from 30000 on, all reached and reported.
func (b *bubble) amongNodes(others, apps int) *v1alpha1.NodeReachability {
	reachability := &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: "node", Generation: 1},
		Spec: v1alpha1.NodeReachabilitySpec{
			HeartbeatSeconds: 10,
			Targets:          []v1alpha1.Target{{Node: "node", Addresses: []string{"10.0.0.9"}}},
		},
	}
	for i := range others {
		address := fmt.Sprintf("10.0.0.%d", i+1)
		reachability.Spec.Targets = append(reachability.Spec.Targets,
			v1alpha1.Target{Node: address, Addresses: []string{address}})
	}
	b.follow(reachability)
	var ports []uint16
	for port := range apps {
		ports = append(ports, uint16(30000+port))
	}
	b.list("7", onPorts(ports...)...)
	b.wait(12 * time.Second)
	b.g.Expect(b.last()).To(Satisfy(clean))
	return reachability
}

// makeAll sets what all ports of the other nodes do.
func (b *bubble) makeAll(others, apps int, does behaviour) {
	for i := range others {
		for port := range apps {
			b.make(fmt.Sprintf("10.0.0.%d:%d", i+1, 30000+port), does)
		}
	}
}

// saysReached returns the ports of address that a report calls reached.
func saysReached(s v1alpha1.NodeReachabilityStatus, address string) int {
	ports, _ := nodeport.Parse(s.NodePorts)
	except := func(text string, addresses []string) {
		for _, a := range addresses {
			if excepted, _ := nodeport.Parse(text); a == address {
				ports = ports.Minus(excepted)
			}
		}
	}
	for _, f := range s.Failures {
		except(f.NodePorts, f.Addresses)
	}
	for _, p := range s.Pending {
		except(p.NodePorts, p.Addresses)
	}
	return ports.Len()
}

// TestCutOffAgentAccusesNobodyAlone cuts the node off at many instants. Its first
// report of trouble calls nothing of any other node reached, and its own node,
// which always answers, is no reason to.
func TestCutOffAgentAccusesNobodyAlone(t *testing.T) {
	const others, apps = 3, 10
	for name, cut := range map[string]behaviour{
		"silence":  {after: time.Hour},
		"refusals": {result: refused()},
		"no route": {result: probe.Result{Reason: probe.NoRoute, Message: "connect: network is unreachable"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				b.amongNodes(others, apps)
				var offset, latest time.Duration
				for range 20 {
					b.makeAll(others, apps, cut)
					took := b.until(func(s v1alpha1.NodeReachabilityStatus) bool { return !clean(s) })
					latest = max(latest, took)
					for i := range others {
						b.g.Expect(saysReached(b.last(), fmt.Sprintf("10.0.0.%d", i+1))).To(BeZero())
					}
					b.g.Expect(saysReached(b.last(), "10.0.0.9")).To(Equal(apps))
					b.wait(5 * time.Second)
					b.makeAll(others, apps, behaviour{})
					b.until(clean)
					b.wait(10*time.Second + offset)
					offset = (offset + 271*time.Millisecond) % (5 * time.Second)
				}
				t.Logf("at most %s from the cut to the report", latest)
				b.g.Expect(latest).To(BeNumerically("<=", 4*time.Second))
			})
		})
	}
}

// TestHealthyAgentIsAsFast: with others to prove the agent's health, a broken
// node port is reported as fast as without a doubt, and nothing else with it.
func TestHealthyAgentIsAsFast(t *testing.T) {
	for name, tc := range map[string]struct {
		broken behaviour
		within time.Duration
	}{
		"refused": {behaviour{result: refused()}, 100*time.Millisecond + reporter.Debounce},
		"dropped": {behaviour{after: time.Hour}, 2300*time.Millisecond + reporter.Debounce},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				b.amongNodes(2, 2)
				var slowest time.Duration
				for range 20 {
					b.make(one, tc.broken)
					before := b.dialled(one)
					for b.dialled(one) == before {
						b.wait(time.Millisecond)
					}
					slowest = max(slowest, b.until(fails))
					for _, w := range b.reports() {
						b.g.Expect(w.status.Pending).To(BeEmpty())
						b.g.Expect(len(w.status.Failures)).To(BeNumerically("<=", 1))
						b.g.Expect(saysReached(w.status, "10.0.0.2")).To(Equal(2))
					}
					b.make(one, behaviour{})
					b.until(clean)
					b.wait(11371 * time.Millisecond)
				}
				t.Logf("at most %s from the first probe to the report", slowest)
				b.g.Expect(slowest).To(BeNumerically("<=", tc.within+10*time.Millisecond))
			})
		})
	}
}

// TestOnlyOtherNodeDies: nobody is left to prove the agent's health, and still
// every pair is reported in time.
func TestOnlyOtherNodeDies(t *testing.T) {
	const apps = 40
	inBubble(t, func(t *testing.T, b *bubble) {
		b.loop.post(func(time.Duration) { b.loop.schedule.limit = 128 })
		b.amongNodes(1, apps)
		var slowest time.Duration
		for range 10 {
			b.makeAll(1, apps, behaviour{after: time.Hour})
			slowest = max(slowest, b.until(func(s v1alpha1.NodeReachabilityStatus) bool {
				failing := nodeport.Set{}
				for _, f := range s.Failures {
					ports, _ := nodeport.Parse(f.NodePorts)
					failing = failing.Union(ports)
				}
				return failing.Len() == apps
			}))
			b.makeAll(1, apps, behaviour{})
			b.until(clean)
			b.wait(11371 * time.Millisecond)
		}
		t.Logf("at most %s until all pairs are reported", slowest)
		b.g.Expect(slowest).To(BeNumerically("<=", 7*time.Second))
	})
}

// TestNoReportInDoubt: not even a heartbeat.
func TestNoReportInDoubt(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		reachability := b.amongNodes(1, 1)
		reachability.Generation, reachability.Spec.HeartbeatSeconds = 2, 1
		b.follow(reachability)
		b.wait(5 * time.Second)
		b.make(one, behaviour{after: time.Hour})
		before := b.dialled(one)
		for b.dialled(one) == before {
			b.wait(time.Millisecond)
		}
		b.wait(hedgeDelay + 5*time.Millisecond)
		reports := len(b.reports())
		b.wait(1900 * time.Millisecond)
		b.g.Expect(b.reports()).To(HaveLen(reports))
		b.g.Expect(b.until(fails)).To(BeNumerically("<", 300*time.Millisecond))
	})
}

// TestWhatEndsADoubt plays answers to probes that began before and after the
// doubt, on the node's own and on other addresses.
func TestWhatEndsADoubt(t *testing.T) {
	for _, tc := range []struct {
		name    string
		from    string
		early   bool
		result  probe.Result
		settled bool
	}{
		{"another node's answer", "10.0.0.2", false, probe.Result{}, true},
		{"another node's answer to an earlier probe", "10.0.0.2", true, probe.Result{}, false},
		{"another node's refusal", "10.0.0.2", false, refused(), false},
		{"the node's own answer", "10.0.0.9", false, probe.Result{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			s := known(addresses("10.0.0.1", "10.0.0.2", "10.0.0.9"), onPorts(30000),
				func(service, netip.Addr) (state, probe.Result) { return reached, probe.Result{} })
			s.own = addresses("10.0.0.9")
			s.trouble(time.Minute, s.pair(netip.MustParseAddrPort(one)))
			g.Expect(s.doubt.open).To(BeTrue())
			f := flight{target: probe.Target{Address: netip.MustParseAddrPort(tc.from + ":30000")}, started: time.Minute}
			if tc.early {
				f.started--
			}
			s.finish(time.Minute, f, tc.result)
			g.Expect(s.doubt.open).To(Equal(!tc.settled))
		})
	}
	t.Run("not trouble with the node itself", func(t *testing.T) {
		s := known(addresses("10.0.0.1", "10.0.0.9"), onPorts(30000),
			func(service, netip.Addr) (state, probe.Result) { return reached, probe.Result{} })
		s.own = addresses("10.0.0.9")
		s.trouble(time.Minute, s.pair(netip.MustParseAddrPort("10.0.0.9:30000")))
		NewWithT(t).Expect(s.doubt.open).To(BeFalse())
	})
}

// TestDoubtIsCheap: one makes 16 pairs due, those of the same port first and none
// of the node itself, and many in a row no more than 64 per second.
func TestDoubtIsCheap(t *testing.T) {
	g := NewWithT(t)
	var ports []uint16
	for port := uint16(30000); port < 30100; port++ {
		ports = append(ports, port)
	}
	s := known(addresses("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9"), onPorts(ports...),
		func(service, netip.Addr) (state, probe.Result) { return reached, probe.Result{} })
	s.own = addresses("10.0.0.9")
	far := 10 * time.Minute
	for _, p := range s.queue {
		p.due = far + time.Duration(p.phase)
	}
	due := func(now time.Duration) (pairs []*pair) {
		for _, p := range s.queue {
			if p.due <= now {
				pairs = append(pairs, p)
			}
		}
		return pairs
	}
	now := time.Minute
	s.trouble(now, s.pair(netip.MustParseAddrPort(one)))
	g.Expect(due(now)).To(HaveLen(sweepSize))
	samePort := 0
	for _, p := range due(now) {
		g.Expect(p.address.String()).NotTo(Equal("10.0.0.9"))
		if p.row.service.port == 30000 {
			samePort++
		}
	}
	g.Expect(samePort).To(Equal(3), "the pair in trouble is probed again itself")

	probes := 0
	for _, port := range ports[1:] {
		for {
			f, ok := s.start(now)
			if !ok {
				break
			}
			probes++
			s.finish(now, f, probe.Result{})
		}
		now += 10 * time.Millisecond
		s.trouble(now, s.pair(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port)))
		s.settle(now)
	}
	g.Expect(probes).To(BeNumerically("~", 72, 16), "a burst, and 64 in the second after")
}

// TestSlowAppRaisesNoDoubt: an app that always takes its time is not in trouble.
func TestSlowAppRaisesNoDoubt(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.amongNodes(3, 1)
		b.makeAll(3, 1, behaviour{after: time.Second})
		b.wait(20 * time.Second)
		before := b.dialled(one)
		b.wait(time.Minute)
		b.g.Expect(b.dialled(one)-before).To(BeNumerically("<=", 26), "a probe and its hedge per period")
		for _, w := range b.reports() {
			b.g.Expect(w.status).To(Satisfy(clean))
		}
	})
}
