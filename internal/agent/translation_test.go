package agent

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

var backend = netip.MustParseAddrPort("10.1.0.7:9898")

// TestTranslatedSilenceOpensNoDoubt: a pod that does not answer is no trouble of this
// node's.
func TestTranslatedSilenceOpensNoDoubt(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.makeAll(3, 2, behaviour{result: elsewhere(probe.Result{}, backend)})
		b.surrounded(3, 2)
		b.makeAll(3, 2, behaviour{result: elsewhere(timedOut(), backend), after: 1900 * time.Millisecond})
		for range 200 {
			b.wait(100 * time.Millisecond)
			b.g.Expect(b.loop.schedule.CheckingSelf()).To(BeFalse())
		}
		b.g.Expect(b.last().Failures).To(BeEmpty())
		b.g.Expect(saysReached(b.last(), "10.0.0.1")).To(BeZero())
	})
}

// surrounded is amongNodes without what the report says.
func (b *bubble) surrounded(others, apps int) {
	var nodes []string
	for i := range others {
		nodes = append(nodes, fmt.Sprintf("10.0.0.%d", i+1))
	}
	b.assign(1, 10*time.Second, nodes...)
	var ports []uint16
	for port := range apps {
		ports = append(ports, uint16(30000+port))
	}
	b.list("7", onPorts(ports...)...)
	b.wait(12 * time.Second)
}

// TestTranslatedPairsAreQuiet: while each dial ends at another backend, nothing is written
// but the heartbeat, and all reports say the same.
func TestTranslatedPairsAreQuiet(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		spread := func(turn int) {
			for i := range 3 {
				remote := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte((turn + i) % 5)}), 9898)
				for port := range 4 {
					b.make(fmt.Sprintf("10.0.0.%d:%d", i+1, 30000+port), behaviour{result: elsewhere(probe.Result{}, remote)})
				}
			}
		}
		spread(0)
		b.surrounded(3, 4)
		first := b.last()
		b.g.Expect(first.Failures).To(BeEmpty())
		b.g.Expect(first.Pending).To(ConsistOf(
			translatedTo("10.1.0.0:9898", "10.0.0.1"),
			translatedTo("10.1.0.1:9898", "10.0.0.2"),
			translatedTo("10.1.0.2:9898", "10.0.0.3"),
		))
		before := len(b.reports())
		for turn := range 100 {
			spread(turn)
			b.wait(time.Second)
		}
		written := b.reports()[before:]
		b.g.Expect(len(written)).To(BeNumerically("<=", 12), "100 s of heartbeats")
		for _, w := range written {
			b.g.Expect(w.status.Pending).To(Equal(first.Pending))
		}
	})
}

func translatedTo(remote string, addresses ...string) v1alpha1.PendingProbes {
	return v1alpha1.PendingProbes{
		Reason: v1alpha1.ReasonTranslatedAtSource, TranslatedTo: remote,
		NodePorts: "30000-30003", Addresses: addresses,
	}
}

// TestTranslationComesAndGoes: what was reached is no word any more when the kernel
// takes dials elsewhere, and what does not answer by itself is told as soon as
// anything else.
func TestTranslationComesAndGoes(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		direct := behaviour{result: along(probe.Result{}, probe.Direct)}
		b.makeAll(3, 1, direct)
		b.surrounded(3, 1)
		b.g.Expect(b.last()).To(Satisfy(clean))

		b.makeAll(3, 1, behaviour{result: elsewhere(probe.Result{}, backend)})
		b.wait(5500 * time.Millisecond)
		b.g.Expect(b.last().Pending).To(HaveLen(1))
		b.g.Expect(b.last().Pending[0].Addresses).To(HaveLen(3))

		b.makeAll(3, 1, direct)
		b.make("10.0.0.3:30000", behaviour{result: along(timedOut(), probe.Direct), after: 1999 * time.Millisecond})
		b.wait(7600 * time.Millisecond)
		b.g.Expect(b.last().Pending).To(BeEmpty())
		b.g.Expect(b.last().Failures).To(HaveLen(1))
		b.g.Expect(b.last().Failures[0].Addresses).To(Equal([]string{"10.0.0.3"}))
	})
}

// TestRecheckOfTranslatedPair is answered: there is no word on it.
func TestRecheckOfTranslatedPair(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.makeAll(2, 1, behaviour{result: elsewhere(probe.Result{}, backend)})
		b.surrounded(2, 1)
		b.loop.post(func(now time.Duration) {
			request, err := protocol.DecodeRecheck(&v1alpha1.Recheck{Round: 3, NodePorts: "30000", Addresses: []string{"10.0.0.1"}})
			b.g.Expect(err).NotTo(HaveOccurred())
			b.loop.schedule.Recheck(now, request)
		})
		b.wait(500 * time.Millisecond)
		b.g.Expect(b.last().RecheckRound).To(Equal(int64(3)))
		b.g.Expect(b.last().Pending).To(HaveLen(1))
	})
}

// TestOwnHostUnderAnotherName: an address of this host that a Node object claims says
// nothing about that Node.
func TestOwnHostUnderAnotherName(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.make("10.0.0.1:30000", behaviour{result: along(probe.Result{}, probe.Direct)})
		b.make("10.0.0.2:30000", behaviour{result: atHome(probe.Result{})})
		b.make("10.0.0.3:30000", behaviour{result: probe.Result{
			Reason: probe.ConnectionRefused, Path: probe.Path{Own: true},
		}})
		b.surrounded(3, 1)
		b.g.Expect(b.last().Failures).To(BeEmpty())
		b.g.Expect(b.last().Pending).To(Equal([]v1alpha1.PendingProbes{{
			Reason: v1alpha1.PendingOwnAddress, NodePorts: "30000", Addresses: []string{"10.0.0.2", "10.0.0.3"},
		}}))
		dials := b.last().Probes.Dials
		b.g.Expect(slices.ContainsFunc(dials, func(c v1alpha1.DialCount) bool { return c.Path == v1alpha1.DialDirect })).To(BeTrue())
	})
}
