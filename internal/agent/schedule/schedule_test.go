package schedule

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/agent/pace"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// TestHysteresis plays results to one pair, in the order in which probes start,
// and looks at what is known after each.
func TestHysteresis(t *testing.T) {
	ok, no, local := probe.Result{}, refused(), probe.Result{Reason: probe.NotDialled}
	type step struct {
		result probe.Result
		want   state
		change Change
	}
	for _, tc := range []struct {
		name      string
		threshold uint8
		steps     []step
	}{
		{"the first answer is proof", 2, []step{{ok, reached, Proven}, {ok, reached, Unchanged}}},
		{"the first failure is not", 2, []step{{no, pending, Unchanged}, {no, failing, Proven}}},
		{"unless one is enough", 1, []step{{no, failing, Proven}, {ok, reached, Turned}}},
		{"a failure turns nothing", 2, []step{
			{ok, reached, Proven}, {no, reached, Unchanged}, {ok, reached, Unchanged},
			{no, reached, Unchanged}, {no, failing, Turned},
		}},
		{"one answer is enough", 3, []step{
			{no, pending, Unchanged}, {no, pending, Unchanged}, {no, failing, Proven}, {no, failing, Unchanged},
			{ok, reached, Turned}, {no, reached, Unchanged}, {no, reached, Unchanged}, {no, failing, Turned},
		}},
		{"another failure is news", 1, []step{
			{no, failing, Proven}, {probe.Result{Reason: probe.HTTPStatus}, failing, Turned}, {timedOut(), failing, Turned},
		}},
		{"refusals and silence that take turns are not", 1, []step{
			{no, failing, Proven}, {timedOut(), failing, Unchanged}, {no, failing, Unchanged},
		}},
		{"a failure of this side is no proof", 2, []step{
			{ok, reached, Proven}, {local, reached, Unchanged}, {local, pending, Turned}, {local, pending, Unchanged},
			{ok, reached, Proven},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			svc := onPorts(30000)[0]
			svc.Probe.Threshold = tc.threshold
			s := New(1)
			assign(s, 0, addresses("10.0.0.1"), protocol.PromptHeartbeat)
			s.SetService(0, svc)
			for i, step := range tc.steps {
				at, scheduled := s.next()
				g.Expect(scheduled).To(BeTrue(), "step %d", i)
				f, started := s.Start(at)
				g.Expect(started).To(BeTrue(), "step %d", i)
				g.Expect(s.Finish(at, f, step.result)).To(Equal(step.change), "step %d", i)
				mustBeLegal(s)
				g.Expect(s.pair(f.Target.Address).state).To(Equal(step.want), "step %d", i)
			}
		})
	}
}

// TestWantOfAPodIsNoNews: that nothing answers where no pod is ready is foreseen, unless
// it goes on when there is one.
func TestWantOfAPodIsNoNews(t *testing.T) {
	g := NewWithT(t)
	s := New(1)
	svc := onPorts(30000)[0]
	svc.Probe.Threshold = 1
	assign(s, 0, addresses("10.0.0.1"), protocol.PromptHeartbeat)
	s.SetService(0, svc)
	pod := service.Endpoints{Slice: "a", Service: svc.Key, Sum: 1, Ready: netip.MustParseAddrPort("10.1.0.1:9898")}
	finish := func(result probe.Result) Change {
		at, _ := s.next()
		f, started := s.Start(at)
		g.Expect(started).To(BeTrue())
		return s.Finish(at, f, result)
	}
	s.SetEndpoints(0, pod)
	g.Expect(finish(probe.Result{})).To(Equal(Proven))
	s.DeleteEndpoints(0, pod)
	g.Expect(finish(refused())).To(Equal(Foreseen))
	g.Expect(finish(refused())).To(Equal(Unchanged))
	s.SetEndpoints(0, pod)
	g.Expect(finish(refused())).To(Equal(Turned), "it has no excuse any more")
	g.Expect(finish(refused())).To(Equal(Unchanged))
	g.Expect(finish(probe.Result{})).To(Equal(Turned))
}

// TestOldResultsDoNotCount: a probe that began before the Service changed, or
// before a success, says nothing any more.
func TestOldResultsDoNotCount(t *testing.T) {
	address := netip.MustParseAddr("10.0.0.1")
	for name, change := range map[string]func(s *Schedule, svc service.Service){
		"another UID": func(s *Schedule, svc service.Service) {
			svc.UID = "2"
			s.SetService(0, svc)
		},
		"another path": func(s *Schedule, svc service.Service) {
			svc.Probe.Path = "/other"
			s.SetService(0, svc)
		},
		"another Service": func(s *Schedule, svc service.Service) {
			svc.Key.Name = "other"
			s.SetService(0, svc)
		},
		"deleted and back": func(s *Schedule, svc service.Service) {
			s.DeleteService(0, svc.Key)
			s.SetService(0, svc)
		},
		"replaced by a list": func(s *Schedule, svc service.Service) {
			svc.UID = "2"
			s.ReplaceServices(0, []service.Service{svc})
		},
		"the address went and came": func(s *Schedule, _ service.Service) {
			assign(s, 0, nil, protocol.PromptHeartbeat)
			assign(s, 0, addresses("10.0.0.1"), protocol.PromptHeartbeat)
		},
	} {
		for _, result := range []probe.Result{{}, refused()} {
			t.Run(fmt.Sprint(name, result), func(t *testing.T) {
				g := NewWithT(t)
				svc := onPorts(30000)[0]
				svc.Probe.Threshold = 1
				s := New(8)
				assign(s, 0, []netip.Addr{address}, protocol.PromptHeartbeat)
				s.SetService(0, svc)
				old, _ := s.Start(0)
				change(s, svc)
				g.Expect(s.Finish(0, old, result)).To(Equal(Unchanged))
				g.Expect(s.pair(old.Target.Address).state).To(Equal(pending))
				g.Expect(s.pending).To(Equal(1))

				at, ok := s.next()
				g.Expect(ok).To(BeTrue())
				f, _ := s.Start(at)
				g.Expect(s.Finish(at, f, result)).To(Equal(Proven))
			})
		}
	}
	t.Run("failure after a success", func(t *testing.T) {
		g := NewWithT(t)
		s := reachedOnce(t)
		at, _ := s.next()
		first, _ := s.Start(at)
		second, ok := s.Start(at + pace.HedgeDelay)
		g.Expect(ok).To(BeTrue())
		s.Finish(at+pace.HedgeDelay, second, probe.Result{})
		s.Finish(at+2*time.Second, first, timedOut())
		g.Expect(s.pair(first.Target.Address).failed).To(BeZero())
	})
}

// portReuseDelay is how long a port that changed hands is not dialled.
const portReuseDelay = 1500 * time.Millisecond

// TestTakeover: a port that belonged to another app a moment ago is left alone
// until the proxies know; a changed probe is not held back.
func TestTakeover(t *testing.T) {
	other := func(s *service.Service) { s.Key.Name, s.UID = "other", "2" }
	for _, tc := range []struct {
		name   string
		change func(*service.Service)
		after  time.Duration
		want   time.Duration
	}{
		{"another UID", func(s *service.Service) { s.UID = "2" }, 0, portReuseDelay},
		{"another app", other, 0, portReuseDelay},
		{"another app a moment later", other, time.Second, portReuseDelay},
		{"another app long after", other, time.Hour, time.Hour},
		{"other pods", func(s *service.Service) { s.Routing++ }, 0, portReuseDelay},
		{"another path", func(s *service.Service) { s.Probe.Path = "/x" }, 0, 0},
		{"another port", func(s *service.Service) { s.Port++ }, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			s := New(8)
			assign(s, 0, addresses("10.0.0.1"), protocol.PromptHeartbeat)
			svc := onPorts(30000)[0]
			s.SetService(0, svc)
			if tc.after > 0 {
				s.DeleteService(0, svc.Key)
			}
			tc.change(&svc)
			g.Expect(s.SetService(tc.after, svc)).To(BeTrue())
			due, ok := s.next()
			g.Expect(ok).To(BeTrue())
			g.Expect(due).To(Equal(tc.want))
		})
	}
}

func TestUnrelatedChangesKeepResults(t *testing.T) {
	g := NewWithT(t)
	s := reachedOnce(t)
	before := s.queue.Items[0].due
	g.Expect(s.SetService(0, onPorts(30000)[0])).To(BeFalse())
	g.Expect(s.ReplaceServices(0, onPorts(30000))).To(BeFalse())
	g.Expect(s.DeleteService(0, onPorts(1)[0].Key)).To(BeFalse())
	s.SetService(0, onPorts(30001)[0])
	assign(s, 0, addresses("10.0.0.1", "10.0.0.2"), protocol.PromptHeartbeat)
	s.DeleteService(0, onPorts(30001)[0].Key)

	p := s.pair(netip.MustParseAddrPort("10.0.0.1:30000"))
	g.Expect(p.state).To(Equal(reached))
	g.Expect(p.due).To(Equal(before))
	g.Expect(s.pending).To(Equal(1), "that of the new address")
	g.Expect(s.queue.Items).To(HaveLen(2))
}

// TestTurnsAreSpread: in a steady state each pair has one turn per period, and
// the turns of all are spread over its slots.
func TestTurnsAreSpread(t *testing.T) {
	const slot = 20 * time.Millisecond
	g := NewWithT(t)
	s := New(1000)
	var nodes []netip.Addr
	for i := range 10 {
		nodes = append(nodes, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	var ports []uint16
	for port := uint16(30000); port < 30100; port++ {
		ports = append(ports, port)
	}
	assign(s, 0, nodes, protocol.PromptHeartbeat)
	s.ReplaceServices(0, onPorts(ports...))
	play(s, 0, 5*time.Second)

	perSecond := make([]int, 5)
	perPair := map[netip.AddrPort]int{}
	perSlot := map[time.Duration]int{}
	play(s, 5*time.Second, 10*time.Second, func(now time.Duration, f ProbeRun) {
		perSecond[(now-5*time.Second)/time.Second]++
		perPair[f.Target.Address]++
		perSlot[now]++
	})
	g.Expect(perSecond).To(HaveEach(BeNumerically("~", 200, 50)))
	g.Expect(perPair).To(HaveLen(1000))
	g.Expect(perPair).To(HaveEach(1))
	for at, probes := range perSlot {
		g.Expect(at%slot).To(BeZero(), "many are made at one awakening")
		g.Expect(probes).To(BeNumerically("<", 20), "four on the average")
	}
}

func TestPeriodsStretch(t *testing.T) {
	g := NewWithT(t)
	s := reachedOnce(t)
	p := s.pair(netip.MustParseAddrPort("10.0.0.1:30000"))
	g.Expect(s.period(p)).To(Equal(5 * time.Second))

	resize(s, 5000)
	g.Expect(5000/s.period(p).Seconds()).To(BeNumerically("~", budget.PerApp, 0.01), "probes per second of all nodes")

	resize(s, 16)
	var ports []uint16
	for port := uint16(30000); port < 35000; port++ {
		ports = append(ports, port)
	}
	s.ReplaceServices(0, onPorts(ports...))
	p = s.pair(netip.MustParseAddrPort("10.0.0.1:30000"))
	g.Expect(s.period(p)).To(BeNumerically("~", 10*time.Second, time.Millisecond), "500 of 5000 per second")

	s.ReplaceServices(0, nil)
	g.Expect(s.timing.BudgetFactor).To(BeEquivalentTo(1))
}

// TestFailingPairsSlowDown counts the probes of a pair that goes on failing.
func TestFailingPairsSlowDown(t *testing.T) {
	g := NewWithT(t)
	s := reachedOnce(t)
	var gaps []time.Duration
	last := time.Duration(0)
	playWith(s, 0, time.Minute, refused(), func(now time.Duration, _ ProbeRun) {
		gaps = append(gaps, (now - last).Round(100*time.Millisecond))
		last = now
	})
	g.Expect(gaps[1]).To(Equal(pace.ConfirmDelay))
	g.Expect(gaps[2]).To(Equal(pace.MinFailingPeriod))
	g.Expect(gaps[len(gaps)-1]).To(Equal(5 * time.Second))
	g.Expect(len(gaps)).To(BeNumerically("~", 24, 4))
}

func TestLimit(t *testing.T) {
	g := NewWithT(t)
	s := New(2)
	assign(s, 0, addresses("10.0.0.1", "10.0.0.2", "10.0.0.3"), protocol.PromptHeartbeat)
	s.ReplaceServices(0, onPorts(30000))
	first, ok := s.Start(0)
	g.Expect(ok).To(BeTrue())
	_, ok = s.Start(0)
	g.Expect(ok).To(BeTrue())
	_, ok = s.Start(0)
	g.Expect(ok).To(BeFalse())
	_, ok = s.next()
	g.Expect(ok).To(BeFalse())

	// One whose pair is gone still counts until it ends.
	assign(s, 0, nil, protocol.PromptHeartbeat)
	assign(s, 0, addresses("10.0.0.1"), protocol.PromptHeartbeat)
	_, ok = s.Start(0)
	g.Expect(ok).To(BeFalse())
	s.Finish(0, first, probe.Result{})
	_, ok = s.Start(0)
	g.Expect(ok).To(BeTrue())
}

// TestSteadyStateAllocatesNothing: but for the probe itself.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	s := reachedOnce(t)
	now := time.Duration(0)
	NewWithT(t).Expect(testing.AllocsPerRun(100, func() {
		now, _ = s.next()
		f, _ := s.Start(now)
		s.Finish(now, f, probe.Result{})
	})).To(BeZero())
}

// reachedOnce is a schedule of one pair, 10.0.0.1:30000, that was reached.
func reachedOnce(t *testing.T) *Schedule {
	t.Helper()
	s := New(8)
	assign(s, 0, addresses("10.0.0.1"), protocol.PromptHeartbeat)
	s.SetService(0, onPorts(30000)[0])
	f, ok := s.Start(0)
	NewWithT(t).Expect(ok).To(BeTrue())
	NewWithT(t).Expect(s.Finish(0, f, probe.Result{})).To(Equal(Proven))
	return s
}

// play runs s over a stretch of time in which every probe is answered at once.
func play(s *Schedule, from, to time.Duration, see ...func(time.Duration, ProbeRun)) {
	playWith(s, from, to, probe.Result{}, see...)
}

func playWith(s *Schedule, from, to time.Duration, result probe.Result, see ...func(time.Duration, ProbeRun)) {
	for now := from; ; {
		due, ok := s.next()
		if !ok || due >= to {
			return
		}
		now = max(now, due)
		f, _ := s.Start(now)
		for _, see := range see {
			see(now, f)
		}
		s.Finish(now, f, result)
		mustBeLegal(s)
	}
}

// TestObserversTakeTurns plays five observers of one target, none of which knows
// of the others.
func TestObserversTakeTurns(t *testing.T) {
	g := NewWithT(t)
	address := netip.MustParseAddr("10.0.0.1")
	var dials []time.Duration
	for turn := range uint64(5) {
		s := New(8)
		a := assignment(s)
		a.Turns = map[netip.Addr]uint32{address: uint32(turn << 32 / 5)}
		s.Assign(0, a)
		assign(s, 0, []netip.Addr{address}, protocol.PromptHeartbeat)
		s.SetService(0, onPorts(30000)[0])
		play(s, 0, time.Second)
		play(s, time.Second, 6*time.Second, func(now time.Duration, _ ProbeRun) { dials = append(dials, now) })
	}
	slices.Sort(dials)
	g.Expect(dials).To(HaveLen(5))
	for i := range dials[1:] {
		g.Expect(dials[i+1] - dials[i]).To(BeNumerically("~", time.Second, time.Millisecond))
	}
}

// assignment returns the one that s has.
func assignment(s *Schedule) Assignment {
	return Assignment{
		Addresses: s.addresses, Own: s.own, Turns: s.timing.Turns, Size: s.timing.Size, Heartbeat: s.timing.Heartbeat,
	}
}

// assign changes the addresses and the heartbeat of s.
func assign(s *Schedule, now time.Duration, addresses []netip.Addr, heartbeat time.Duration) {
	a := assignment(s)
	a.Addresses, a.Heartbeat = addresses, heartbeat
	s.Assign(now, a)
}

// resize changes the size of the cluster that s knows.
func resize(s *Schedule, size int) {
	a := assignment(s)
	a.Size = size
	s.Assign(0, a)
}
