package schedule

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/agent/selfcheck"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/probe"
)

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
				func(service.Service, netip.Addr) (state, probe.Result) { return reached, probe.Result{} })
			s.own = addresses("10.0.0.9")
			s.trouble(time.Minute, s.pair(netip.MustParseAddrPort(one)))
			g.Expect(s.CheckingSelf()).To(BeTrue())
			f := ProbeRun{Target: probe.Target{Address: netip.MustParseAddrPort(tc.from + ":30000")}, started: time.Minute}
			if tc.early {
				f.started--
			}
			s.Finish(time.Minute, f, tc.result)
			g.Expect(s.CheckingSelf()).To(Equal(!tc.settled))
		})
	}
	t.Run("not trouble with the node itself", func(t *testing.T) {
		s := known(addresses("10.0.0.1", "10.0.0.9"), onPorts(30000),
			func(service.Service, netip.Addr) (state, probe.Result) { return reached, probe.Result{} })
		s.own = addresses("10.0.0.9")
		s.trouble(time.Minute, s.pair(netip.MustParseAddrPort("10.0.0.9:30000")))
		NewWithT(t).Expect(s.CheckingSelf()).To(BeFalse())
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
		func(service.Service, netip.Addr) (state, probe.Result) { return reached, probe.Result{} })
	s.own = addresses("10.0.0.9")
	far := 10 * time.Minute
	for _, p := range s.queue.Items {
		p.due = far + time.Duration(p.phase)
	}
	due := func(now time.Duration) (pairs []*pair) {
		for _, p := range s.queue.Items {
			if p.due <= now {
				pairs = append(pairs, p)
			}
		}
		return pairs
	}
	now := time.Minute
	s.trouble(now, s.pair(netip.MustParseAddrPort(one)))
	g.Expect(due(now)).To(HaveLen(selfcheck.SweepSize))
	samePort := 0
	for _, p := range due(now) {
		g.Expect(p.address.String()).NotTo(Equal("10.0.0.9"))
		if p.row.service.Port == 30000 {
			samePort++
		}
	}
	g.Expect(samePort).To(Equal(3), "the pair in trouble is probed again itself")

	probes := 0
	for _, port := range ports[1:] {
		for {
			f, ok := s.Start(now)
			if !ok {
				break
			}
			probes++
			s.Finish(now, f, probe.Result{})
		}
		now += 10 * time.Millisecond
		s.trouble(now, s.pair(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port)))
		s.Advance(now)
	}
	g.Expect(probes).To(BeNumerically("~", 72, 16), "a burst, and 64 in the second after")
}

const one = "10.0.0.1:30000"
