package schedule

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// madeGood is result, found at a pod and at the address as well.
func madeGood(result probe.Result) probe.Result {
	result = elsewhere(result, backend)
	result.Path.Proven = true
	return result
}

// playNext has the pair that is due next have a result.
func playNext(g Gomega, s *Schedule, result probe.Result) Change {
	at, ok := s.next()
	g.Expect(ok).To(BeTrue())
	f, ok := s.Start(at)
	g.Expect(ok).To(BeTrue())
	defer mustBeLegal(s)
	return s.Finish(at, f, result)
}

// TestWaysOfOnePair plays results to one pair, and looks at what is known after each.
func TestWaysOfOnePair(t *testing.T) {
	ok, no := probe.Result{}, refused()
	type step struct {
		result probe.Result
		want   state
		change Change
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"a translated answer is no word", []step{
			{elsewhere(ok, backend), translated, Proven}, {elsewhere(ok, otherBackend), translated, Unchanged},
		}},
		{"neither is a translated failure", []step{
			{elsewhere(timedOut(), backend), translated, Proven}, {elsewhere(timedOut(), backend), translated, Unchanged},
			{elsewhere(ok, backend), translated, Unchanged},
		}},
		{"a refusal is as the last that was looked at", []step{
			{elsewhere(ok, backend), translated, Proven}, {no, translated, Unchanged}, {no, translated, Unchanged},
			{along(ok, probe.Direct), reached, Turned}, {no, reached, Unchanged}, {no, failing, Turned},
			{elsewhere(timedOut(), backend), translated, Turned}, {no, translated, Unchanged},
		}},
		{"a refusal that was looked at is as it was", []step{
			{elsewhere(ok, backend), translated, Proven},
			{along(no, probe.Direct), translated, Unchanged}, {along(no, probe.Direct), failing, Turned},
			{elsewhere(no, backend), translated, Turned},
		}},
		{"with none before it is a word", []step{
			{no, pending, Unchanged}, {no, failing, Proven}, {elsewhere(ok, backend), translated, Turned},
		}},
		{"what cannot be verified counts", []step{
			{along(ok, probe.Unverified), reached, Proven}, {elsewhere(ok, backend), translated, Turned},
			{along(ok, probe.Unverified), reached, Turned}, {no, reached, Unchanged}, {no, failing, Turned},
		}},
		{"a dial of this host is no word", []step{
			{atHome(ok), ownHost, Proven}, {atHome(no), ownHost, Unchanged},
			{along(ok, probe.Direct), reached, Turned}, {atHome(ok), ownHost, Turned},
		}},
		{"a translated dial that was made good for is a word", []step{
			{madeGood(ok), reached, Proven}, {madeGood(timedOut()), reached, Unchanged},
			{madeGood(timedOut()), failing, Turned}, {elsewhere(ok, backend), translated, Turned},
		}},
		{"a dial that was not made is none either", []step{
			{elsewhere(ok, backend), translated, Proven},
			{probe.Result{Reason: probe.NotDialled}, translated, Unchanged},
			{probe.Result{Reason: probe.NotDialled}, pending, Turned},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			s := New(1)
			assign(s, 0, addresses("10.0.0.1"), protocol.PromptHeartbeat)
			s.SetService(0, onPorts(30000)[0])
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
	s := New(4)
	s.own = addresses("10.0.0.1")
	assign(s, 0, addresses("10.0.0.1", "10.0.0.2", "10.0.0.3"), protocol.PromptHeartbeat)
	s.SetService(0, onPorts(30000)[0])
	s.pair(netip.MustParseAddrPort("10.0.0.3:30000")).state = ownHost
	result := elsewhere(probe.Result{}, backend)
	p := s.pair(netip.MustParseAddrPort("10.0.0.2:30000"))
	s.ways.Trace(p.address, &p.way, &result)
	for range 3 {
		at, _ := s.next()
		f, ok := s.Start(at)
		g.Expect(ok).To(BeTrue())
		g.Expect(f.Target.Provable).To(Equal(f.Target.Address.Addr() == netip.MustParseAddr("10.0.0.2")))
		g.Expect(f.Target.Detoured).To(BeTrue())
	}
	s.conclude(p, failing, refused())
	a, ok := s.StartDiagnosis(0)
	g.Expect(ok).To(BeTrue())
	g.Expect(a.Target.Provable).To(BeFalse(), "no node port")
}

// TestOwnAddressOfThisNode: what the operator says is this node's counts as ever.
func TestOwnAddressOfThisNode(t *testing.T) {
	g := NewWithT(t)
	s := New(1)
	s.own = addresses("10.0.0.1")
	assign(s, 0, addresses("10.0.0.1"), protocol.PromptHeartbeat)
	s.SetService(0, onPorts(30000)[0])
	g.Expect(playNext(g, s, atHome(probe.Result{}))).To(Equal(Proven))
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
			s := New(4)
			assign(s, 0, addresses("10.0.0.1", "10.0.0.2"), protocol.PromptHeartbeat)
			s.SetService(0, onPorts(30000)[0])
			for range 2 {
				playNext(g, s, along(probe.Result{}, probe.Direct))
			}
			g.Expect(playNext(g, s, along(refused(), probe.Direct))).To(Equal(Unchanged))
			g.Expect(s.CheckingSelf()).To(BeTrue())
			playNext(g, s, tc.answer)
			g.Expect(s.CheckingSelf()).To(Equal(tc.open))
		})
	}
}

var (
	backend      = netip.MustParseAddrPort("10.1.0.7:9898")
	otherBackend = netip.MustParseAddrPort("10.1.0.8:9898")
)
