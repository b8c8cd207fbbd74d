//go:build !race

// The race detector takes ten times as long for it, and finds nothing more: the bubbles of
// these tests run the same loop as those of the others.

package agent

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

const (
	// fairWorkers is the default of the agent.
	fairWorkers = 256

	fairOthers, honestApps = 8, 100
	firstTenant            = 31000

	// greedy are the settings that hold workers the longest of those that the CRD
	// admits.
	greedy = `{"path":"/","periodSeconds":60,"timeoutSeconds":60,"failureThreshold":10}`
)

// TestAnAppHarmsItsOwnVerdictOnly sets many apps beside a hundred honest ones that
// try, each in its way, to keep the agent busy.
func TestAnAppHarmsItsOwnVerdictOnly(t *testing.T) {
	reset := probe.Result{Reason: probe.ConnectionReset}
	endless := probe.Result{Reason: probe.ProtocolError, Message: "too many informational answers"}
	for _, tc := range []struct {
		name     string
		does     behaviour
		settings string
	}{
		{"tarpits", behaviour{after: time.Hour}, greedy},
		{"tarpits of default settings", behaviour{after: time.Hour}, ""},
		{"resets", behaviour{result: reset}, ""},
		{"answers after 299 ms", behaviour{after: 299 * time.Millisecond}, greedy},
		{"answers after 301 ms", behaviour{after: 301 * time.Millisecond}, greedy},
		{"answers after 301 ms, often", behaviour{after: 301 * time.Millisecond}, ""},
		{"answers after 59 s", behaviour{after: 59 * time.Second}, greedy},
		{"flapping, all in step", behaviour{after: time.Hour, flaps: 90 * time.Second}, greedy},
		{"flapping, of default settings", behaviour{after: time.Hour, flaps: 20 * time.Second}, ""},
		{"flapping resets", behaviour{result: reset, flaps: 20 * time.Second}, ""},
		{"informational answers for ever", behaviour{result: endless, after: 59 * time.Second}, greedy},
	} {
		for _, tenants := range []int{60, 2000} {
			t.Run(fmt.Sprint(tenants, " ", tc.name), func(t *testing.T) {
				inBubbleOf(t, fairWorkers, func(t *testing.T, b *bubble) {
					b.besideTenants(tenants, tc.does, tc.settings)
					b.wait(time.Minute)
					b.tellsInTime(t)
				})
			})
		}
	}
}

// besideTenants has the agent dial honest apps on other nodes, and then those of
// tenants as well, all of which do the same.
func (b *bubble) besideTenants(tenants int, does behaviour, settings string) {
	b.amongNodes(fairOthers, honestApps)
	var honest, ports []uint16
	for i := range honestApps {
		honest = append(honest, uint16(30000+i))
	}
	for i := range tenants {
		ports = append(ports, uint16(firstTenant+i))
	}
	services := onPorts(honest...)
	for _, svc := range onPorts(ports...) {
		svc.Probe = protocol.DecodeProbe(settings)
		services = append(services, svc)
		b.make(fmt.Sprint("10.0.0.9:", svc.Port), does)
		for i := range fairOthers {
			b.make(fmt.Sprintf("10.0.0.%d:%d", i+1, svc.Port), does)
		}
	}
	b.list("8", services...)
}

// tellsInTime breaks and mends honest node ports, and looks at when that is told,
// and at every report of that time.
func (b *bubble) tellsInTime(t *testing.T) {
	period := b.period()
	var slowest time.Duration
	for i, broken := range []behaviour{{result: refused()}, {after: time.Hour}} {
		for _, does := range []behaviour{broken, {}} {
			b.wait(time.Duration(7*i%5) * time.Second)
			port := uint16(30000 + 13*i)
			b.make(fmt.Sprint("10.0.0.1:", port), does)
			from := time.Now()
			for b.saysFailing("10.0.0.1", port) == (does == behaviour{}) && time.Since(from) < 10*period {
				b.wait(100 * time.Millisecond)
				b.renewsNothingOld(period, port)
			}
			slowest = max(slowest, time.Since(from))
			b.wait(10 * time.Second)
		}
	}
	t.Logf("at most %s until an honest change is told, with a period of %s", slowest, period)
	b.g.Expect(slowest).To(BeNumerically("<=", 2*period))
}

// period is how often an honest pair is probed while all keep the agent's budget.
func (b *bubble) period() time.Duration {
	load := 0.0
	for _, svc := range b.listed {
		load += (fairOthers + 1) / svc.Probe.Period.Seconds()
	}
	return time.Duration(max(1, load/budget.PerAgent) * float64(5*time.Second))
}

func (b *bubble) saysFailing(address string, port uint16) bool {
	for _, f := range b.last().Failures {
		for _, a := range f.Addresses {
			if ports, _ := nodeport.Parse(f.NodePorts); a == address && ports.Contains(port) {
				return true
			}
		}
	}
	return false
}

// renewsNothingOld looks at the newest report: each pair has had a result within
// its cycle, or is pending, and of the honest ones none is, but for the one on
// 10.0.0.1 that changed.
func (b *bubble) renewsNothingOld(period time.Duration, changed uint16) {
	newest, _ := b.newest()
	if time.Since(newest.at) > 100*time.Millisecond {
		return
	}
	s := newest.status
	for _, address := range s.Addresses {
		said, _ := nodeport.Parse(s.NodePorts)
		for _, p := range s.Pending {
			for _, a := range p.Addresses {
				if ports, _ := nodeport.Parse(p.NodePorts); a == address {
					said = said.Minus(ports)
				}
			}
		}
		for port := range uint16(honestApps) {
			if address != "10.0.0.1" || 30000+port != changed {
				b.g.Expect(said.Contains(30000+port)).To(BeTrue(), "an honest pair is pending: %s:%d", address, 30000+port)
			}
		}
		b.hasResults(newest.at, address, said, period)
	}
}

func (b *bubble) hasResults(at time.Time, address string, said nodeport.Set, period time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for port := range said.All() {
		r := protocol.DecodeProbe("")
		if port >= firstTenant {
			r = b.listed[port].Probe
		}
		stretch := period.Seconds() / 5
		cycle := time.Duration(float64(r.Period)*stretch) + r.Timeout + time.Duration(r.Threshold)*hedgeDelay + time.Second
		ended := b.ended[netip.AddrPortFrom(netip.MustParseAddr(address), port)]
		if at.Sub(ended) > cycle {
			b.g.Expect(at.Sub(ended)).To(BeNumerically("<=", cycle), "of port %d", port)
		}
	}
}

// TestFlappingAppsRaiseNoDoubtAboutOthers: what is known of honest apps stays, however
// often others answer and fall silent in turn.
func TestFlappingAppsRaiseNoDoubtAboutOthers(t *testing.T) {
	for _, tenants := range []int{2, 5, 40, 500} {
		for _, does := range []behaviour{
			{after: time.Hour, flaps: 7 * time.Second},
			{result: refused(), flaps: 7 * time.Second},
			{after: 2500 * time.Millisecond, flaps: 3 * time.Second},
		} {
			t.Run(fmt.Sprint(tenants, does), func(t *testing.T) {
				inBubbleOf(t, fairWorkers, func(_ *testing.T, b *bubble) {
					b.besideTenants(tenants, does, `{"periodSeconds":5,"timeoutSeconds":5,"failureThreshold":10}`)
					b.wait(30 * time.Second)
					for range 500 {
						b.wait(100 * time.Millisecond)
						b.g.Expect(honestPending(b.last())).To(BeZero())
					}
				})
			})
		}
	}
}

func honestPending(s v1alpha1.NodeReachabilityStatus) (n int) {
	for _, p := range s.Pending {
		ports, _ := nodeport.Parse(p.NodePorts)
		for port := range uint16(honestApps) {
			if ports.Contains(30000 + port) {
				n += len(p.Addresses)
			}
		}
	}
	return n
}
