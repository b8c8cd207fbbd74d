package schedule

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// crowded is a schedule in which every pair of three addresses and a hundred
// ports was reached, and is probed again after 8 minutes.
func crowded(t *testing.T) *Schedule {
	t.Helper()
	s := New(128)
	resize(s, 5600)
	assign(s, 0, addresses("10.0.0.1", "10.0.0.2", "10.0.0.3"), protocol.PromptHeartbeat)
	var ports []uint16
	for port := uint16(30000); port < 30100; port++ {
		ports = append(ports, port)
	}
	s.ReplaceServices(0, onPorts(ports...))
	play(s, 0, time.Second)
	p := s.pair(netip.MustParseAddrPort("10.0.0.1:30000"))
	NewWithT(t).Expect(s.period(p)).To(Equal(8 * time.Minute))
	return s
}

// refuse plays a time in which some targets refuse, and returns the number of
// probes.
func refuse(s *Schedule, from, to time.Duration, refuses func(netip.AddrPort) bool) (probes int) {
	for now := from; now < to; now += 10 * time.Millisecond {
		s.Advance(now)
		for f, ok := s.Start(now); ok; f, ok = s.Start(now) {
			probes++
			if refuses(f.Target.Address) {
				s.Finish(now, f, refused())
			} else {
				s.Finish(now, f, probe.Result{})
			}
			mustBeLegal(s)
		}
	}
	return probes
}

func inState(s *Schedule, address string, wanted state) (n int) {
	for port := range s.rows {
		if s.pair(netip.AddrPortFrom(netip.MustParseAddr(address), port)).state == wanted {
			n++
		}
	}
	return n
}

func TestANodeThatFailsOnOnePortIsLookedAtOnAll(t *testing.T) {
	g := NewWithT(t)
	s := crowded(t)
	broken := func(target netip.AddrPort) bool { return target.Addr() == netip.MustParseAddr("10.0.0.2") }
	never := func(netip.AddrPort) bool { return false }

	// One of its hundred ports has its turn every 5 seconds or so.
	refuse(s, time.Second, 30*time.Second, broken)
	g.Expect(inState(s, "10.0.0.2", failing)).To(Equal(100))
	g.Expect(inState(s, "10.0.0.1", reached)).To(Equal(100))

	refuse(s, 30*time.Second, 100*time.Second, never)
	g.Expect(inState(s, "10.0.0.2", reached)).To(Equal(100), "and again when it is back")
}

func TestAnAppThatFailsEverywhereTellsNothingOfOthers(t *testing.T) {
	g := NewWithT(t)
	s := crowded(t)
	answers := 0
	refuse(s, time.Second, time.Minute, func(target netip.AddrPort) bool {
		if target.Port() < 30010 {
			return true
		}
		answers++
		return false
	})
	g.Expect(inState(s, "10.0.0.2", failing)).To(BeNumerically(">", 0))
	g.Expect(answers).To(BeNumerically("<", 150), "there are 290 pairs that answer")
}
