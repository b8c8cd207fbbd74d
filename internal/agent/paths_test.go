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

var (
	backend      = netip.MustParseAddrPort("10.1.0.7:9898")
	otherBackend = netip.MustParseAddrPort("10.1.0.8:9898")
)

// along is result, found by a way.
func along(result probe.Result, way probe.Way) probe.Result {
	result.Path.Way = way
	return result
}

// elsewhere is result, found at a pod in place of the address.
func elsewhere(result probe.Result, remote netip.AddrPort) probe.Result {
	result.Path = probe.Path{Way: probe.Translated, Remote: remote}
	return result
}

// atHome is result, found on this host.
func atHome(result probe.Result) probe.Result {
	result.Path = probe.Path{Way: probe.Direct, Own: true}
	return result
}

// madeGood is result, found at a pod and at the address as well.
func madeGood(result probe.Result) probe.Result {
	result = elsewhere(result, backend)
	result.Path.Proven = true
	return result
}

// playNext has the pair that is due next have a result.
func playNext(g Gomega, s *schedule, result probe.Result) change {
	at, ok := s.next()
	g.Expect(ok).To(BeTrue())
	f, ok := s.start(at)
	g.Expect(ok).To(BeTrue())
	return s.finish(at, f, result)
}

// TestWaysOfOnePair plays results to one pair, and looks at what is known after each.
func TestWaysOfOnePair(t *testing.T) {
	ok, no := probe.Result{}, refused()
	type step struct {
		result probe.Result
		want   state
		change change
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"a translated answer is no word", []step{
			{elsewhere(ok, backend), translated, proven}, {elsewhere(ok, otherBackend), translated, unchanged},
		}},
		{"neither is a translated failure", []step{
			{elsewhere(timedOut(), backend), translated, proven}, {elsewhere(timedOut(), backend), translated, unchanged},
			{elsewhere(ok, backend), translated, unchanged},
		}},
		{"a refusal is as the last that was looked at", []step{
			{elsewhere(ok, backend), translated, proven}, {no, translated, unchanged}, {no, translated, unchanged},
			{along(ok, probe.Direct), reached, turned}, {no, reached, unchanged}, {no, failing, turned},
			{elsewhere(timedOut(), backend), translated, turned}, {no, translated, unchanged},
		}},
		{"a refusal that was looked at is as it was", []step{
			{elsewhere(ok, backend), translated, proven},
			{along(no, probe.Direct), translated, unchanged}, {along(no, probe.Direct), failing, turned},
			{elsewhere(no, backend), translated, turned},
		}},
		{"with none before it is a word", []step{
			{no, pending, unchanged}, {no, failing, proven}, {elsewhere(ok, backend), translated, turned},
		}},
		{"what cannot be verified counts", []step{
			{along(ok, probe.Unverified), reached, proven}, {elsewhere(ok, backend), translated, turned},
			{along(ok, probe.Unverified), reached, turned}, {no, reached, unchanged}, {no, failing, turned},
		}},
		{"a dial of this host is no word", []step{
			{atHome(ok), ownHost, proven}, {atHome(no), ownHost, unchanged},
			{along(ok, probe.Direct), reached, turned}, {atHome(ok), ownHost, turned},
		}},
		{"a translated dial that was made good for is a word", []step{
			{madeGood(ok), reached, proven}, {madeGood(timedOut()), reached, unchanged},
			{madeGood(timedOut()), failing, turned}, {elsewhere(ok, backend), translated, turned},
		}},
		{"a dial that was not made is none either", []step{
			{elsewhere(ok, backend), translated, proven},
			{probe.Result{Reason: probe.NotDialled}, translated, unchanged},
			{probe.Result{Reason: probe.NotDialled}, pending, turned},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			s := newSchedule(1)
			s.assign(0, addresses("10.0.0.1"), smallCluster)
			s.setService(0, onPorts(30000)[0])
			for i, step := range tc.steps {
				g.Expect(playNext(g, s, step.result)).To(Equal(step.change), "step %d", i)
				g.Expect(s.rows[30000].pairs[0].state).To(Equal(step.want), "step %d", i)
			}
			g.Expect(s.pending).To(Equal(boolToInt(s.rows[30000].pairs[0].state == pending)))
		})
	}
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestWhoMayBeAsked: an address may be asked by other means if it is another node's.
func TestWhoMayBeAsked(t *testing.T) {
	g := NewWithT(t)
	s := newSchedule(4)
	s.own = addresses("10.0.0.1")
	s.assign(0, addresses("10.0.0.1", "10.0.0.2", "10.0.0.3"), smallCluster)
	s.setService(0, onPorts(30000)[0])
	s.pair(netip.MustParseAddrPort("10.0.0.3:30000")).state = ownHost
	result := elsewhere(probe.Result{}, backend)
	s.trace(s.pair(netip.MustParseAddrPort("10.0.0.2:30000")), &result)
	for range 3 {
		at, _ := s.next()
		f, ok := s.start(at)
		g.Expect(ok).To(BeTrue())
		g.Expect(f.target.Provable).To(Equal(f.target.Address.Addr() == netip.MustParseAddr("10.0.0.2")))
		g.Expect(f.target.Detoured).To(BeTrue())
	}
	a, ok := s.targetOf(wayKey{way: toProxy, address: netip.MustParseAddr("10.0.0.2")})
	g.Expect(ok).To(BeTrue())
	g.Expect(a.Provable).To(BeFalse(), "no node port")
}

// TestExpectedWay: what is not looked at is expected to go as the last dial did, the
// nearer the better.
func TestExpectedWay(t *testing.T) {
	g := NewWithT(t)
	s := newSchedule(1)
	s.assign(0, addresses("10.0.0.1", "10.0.0.2"), smallCluster)
	s.replaceServices(0, onPorts(30000, 30001))
	at := func(target string) *pair { return s.pair(netip.MustParseAddrPort(target)) }
	seen := func(target string, way probe.Way) {
		result := along(probe.Result{}, way)
		s.trace(at(target), &result)
	}
	expect := func(target string, way probe.Way) {
		t.Helper()
		result := refused()
		s.trace(at(target), &result)
		g.Expect(result.Path.Way).To(Equal(way))
	}
	expect("10.0.0.1:30000", probe.Unverified)
	seen("10.0.0.2:30000", probe.Translated)
	expect("10.0.0.1:30000", probe.Translated)
	seen("10.0.0.1:30001", probe.Direct)
	expect("10.0.0.1:30000", probe.Direct)
	expect("10.0.0.2:30000", probe.Translated)
	expect("10.0.0.2:30001", probe.Translated)
	seen("10.0.0.1:30000", probe.Translated)
	expect("10.0.0.1:30000", probe.Translated)
	expect("10.0.0.1:30001", probe.Direct)
	g.Expect(s.paths.status()).To(Equal([]v1alpha1.DialCount{
		{Path: v1alpha1.DialDirect, Count: 3},
		{Path: v1alpha1.DialTranslated, Count: 6},
		{Path: v1alpha1.DialUnverified, Count: 1},
	}))

	s.assign(0, addresses("10.0.0.2"), smallCluster)
	g.Expect(s.paths.byAddress).To(HaveLen(1), "of what is dialled")
	s.forget(0)
	expect("10.0.0.2:30000", probe.Unverified)
}

// TestOwnAddressOfThisNode: what the operator says is this node's counts as ever.
func TestOwnAddressOfThisNode(t *testing.T) {
	g := NewWithT(t)
	s := newSchedule(1)
	s.own = addresses("10.0.0.1")
	s.assign(0, addresses("10.0.0.1"), smallCluster)
	s.setService(0, onPorts(30000)[0])
	g.Expect(playNext(g, s, atHome(probe.Result{}))).To(Equal(proven))
	g.Expect(s.rows[30000].pairs[0].state).To(Equal(reached))
}

// TestWordlessAnswerSettlesNoDoubt: an answer that another node did not give proves
// nothing about this one.
func TestWordlessAnswerSettlesNoDoubt(t *testing.T) {
	for name, tc := range map[string]struct {
		answer probe.Result
		open   bool
	}{
		"translated": {elsewhere(probe.Result{}, backend), true},
		"own":        {atHome(probe.Result{}), true},
		"direct":     {along(probe.Result{}, probe.Direct), false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := newSchedule(4)
			s.assign(0, addresses("10.0.0.1", "10.0.0.2"), smallCluster)
			s.setService(0, onPorts(30000)[0])
			for range 2 {
				playNext(g, s, along(probe.Result{}, probe.Direct))
			}
			g.Expect(playNext(g, s, along(refused(), probe.Direct))).To(Equal(unchanged))
			g.Expect(s.doubt.open).To(BeTrue())
			playNext(g, s, tc.answer)
			g.Expect(s.doubt.open).To(Equal(tc.open))
		})
	}
}

// TestTranslatedSilenceOpensNoDoubt: a pod that does not answer is no trouble of this
// node's.
func TestTranslatedSilenceOpensNoDoubt(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.makeAll(3, 2, behaviour{result: elsewhere(probe.Result{}, backend)})
		b.surrounded(3, 2)
		b.makeAll(3, 2, behaviour{result: elsewhere(timedOut(), backend), after: 1900 * time.Millisecond})
		for range 200 {
			b.wait(100 * time.Millisecond)
			b.g.Expect(b.loop.schedule.doubt.open).To(BeFalse())
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

// TestDetourFollows: where dials end is told anew when the endpoints have changed, and
// when it has not been seen for long.
func TestDetourFollows(t *testing.T) {
	g := NewWithT(t)
	p := &pair{row: &row{}}
	p.divert(time.Second, netip.AddrPort{})
	g.Expect(p.detour).To(BeNil())
	p.divert(2*time.Second, backend)
	p.divert(3*time.Second, otherBackend)
	p.divert(4*time.Second, netip.AddrPort{})
	g.Expect(p.detour.to).To(Equal(backend))

	p.row.changed = 10 * time.Second
	p.divert(11*time.Second, backend)
	g.Expect(p.detour.to).To(Equal(backend))
	p.divert(12*time.Second, otherBackend)
	g.Expect(p.detour.to).To(Equal(otherBackend))
	p.divert(13*time.Second, backend)
	g.Expect(p.detour.to).To(Equal(otherBackend), "once per change")

	p.divert(12*time.Second+detourTime, backend)
	g.Expect(p.detour.to).To(Equal(backend))
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
			b.loop.schedule.look(now, request)
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
