package agent

import (
	"fmt"
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
	inBubbleOf(t, 128, func(t *testing.T, b *bubble) {
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
