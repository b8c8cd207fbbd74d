package agent

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// TestHysteresis plays results to one pair, in the order in which probes start,
// and looks at what is known after each.
func TestHysteresis(t *testing.T) {
	ok, no, local := probe.Result{}, refused(), probe.Result{Reason: probe.NotDialled}
	type step struct {
		result probe.Result
		want   state
		change change
	}
	for _, tc := range []struct {
		name      string
		threshold uint8
		steps     []step
	}{
		{"the first answer is proof", 2, []step{{ok, reached, proven}, {ok, reached, unchanged}}},
		{"the first failure is not", 2, []step{{no, pending, unchanged}, {no, failing, proven}}},
		{"unless one is enough", 1, []step{{no, failing, proven}, {ok, reached, turned}}},
		{"a failure turns nothing", 2, []step{
			{ok, reached, proven}, {no, reached, unchanged}, {ok, reached, unchanged},
			{no, reached, unchanged}, {no, failing, turned},
		}},
		{"one answer is enough", 3, []step{
			{no, pending, unchanged}, {no, pending, unchanged}, {no, failing, proven}, {no, failing, unchanged},
			{ok, reached, turned}, {no, reached, unchanged}, {no, reached, unchanged}, {no, failing, turned},
		}},
		{"another failure is news", 1, []step{
			{no, failing, proven}, {probe.Result{Reason: probe.HTTPStatus}, failing, turned}, {timedOut(), failing, turned},
		}},
		{"refusals and silence that take turns are not", 1, []step{
			{no, failing, proven}, {timedOut(), failing, unchanged}, {no, failing, unchanged},
		}},
		{"a failure of this side is no proof", 2, []step{
			{ok, reached, proven}, {local, reached, unchanged}, {local, pending, turned}, {local, pending, unchanged},
			{ok, reached, proven},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			svc := onPorts(30000)[0]
			svc.probe.Threshold = tc.threshold
			s := newSchedule(1)
			s.assign(0, addresses("10.0.0.1"), smallCluster)
			s.setService(0, svc)
			for i, step := range tc.steps {
				at, scheduled := s.next()
				g.Expect(scheduled).To(BeTrue(), "step %d", i)
				f, started := s.start(at)
				g.Expect(started).To(BeTrue(), "step %d", i)
				g.Expect(s.finish(at, f, step.result)).To(Equal(step.change), "step %d", i)
				g.Expect(s.pair(f.target.Address).state).To(Equal(step.want), "step %d", i)
			}
		})
	}
}

// TestWantOfAPodIsNoNews: that nothing answers where no pod is ready is foreseen, unless
// it goes on when there is one.
func TestWantOfAPodIsNoNews(t *testing.T) {
	g := NewWithT(t)
	s := newSchedule(1)
	svc := onPorts(30000)[0]
	svc.probe.Threshold = 1
	s.assign(0, addresses("10.0.0.1"), smallCluster)
	s.setService(0, svc)
	pod := endpoints{slice: "a", service: svc.key, sum: 1, ready: netip.MustParseAddrPort("10.1.0.1:9898")}
	finish := func(result probe.Result) change {
		at, _ := s.next()
		f, started := s.start(at)
		g.Expect(started).To(BeTrue())
		return s.finish(at, f, result)
	}
	s.setEndpoints(0, pod)
	g.Expect(finish(probe.Result{})).To(Equal(proven))
	s.deleteEndpoints(0, pod)
	g.Expect(finish(refused())).To(Equal(foreseen))
	g.Expect(finish(refused())).To(Equal(unchanged))
	s.setEndpoints(0, pod)
	g.Expect(finish(refused())).To(Equal(turned), "it has no excuse any more")
	g.Expect(finish(refused())).To(Equal(unchanged))
	g.Expect(finish(probe.Result{})).To(Equal(turned))
}

// TestOldResultsDoNotCount: a probe that began before the Service changed, or
// before a success, says nothing any more.
func TestOldResultsDoNotCount(t *testing.T) {
	address := netip.MustParseAddr("10.0.0.1")
	for name, change := range map[string]func(s *schedule, svc service){
		"another UID": func(s *schedule, svc service) {
			svc.uid = "2"
			s.setService(0, svc)
		},
		"another path": func(s *schedule, svc service) {
			svc.probe.Path = "/other"
			s.setService(0, svc)
		},
		"another Service": func(s *schedule, svc service) {
			svc.key.Name = "other"
			s.setService(0, svc)
		},
		"deleted and back": func(s *schedule, svc service) {
			s.deleteService(0, svc.key)
			s.setService(0, svc)
		},
		"replaced by a list": func(s *schedule, svc service) {
			svc.uid = "2"
			s.replaceServices(0, []service{svc})
		},
		"the address went and came": func(s *schedule, _ service) {
			s.assign(0, nil, smallCluster)
			s.assign(0, addresses("10.0.0.1"), smallCluster)
		},
	} {
		for _, result := range []probe.Result{{}, refused()} {
			t.Run(fmt.Sprint(name, result), func(t *testing.T) {
				g := NewWithT(t)
				svc := onPorts(30000)[0]
				svc.probe.Threshold = 1
				s := newSchedule(8)
				s.assign(0, []netip.Addr{address}, smallCluster)
				s.setService(0, svc)
				old, _ := s.start(0)
				change(s, svc)
				g.Expect(s.finish(0, old, result)).To(Equal(unchanged))
				g.Expect(s.pair(old.target.Address).state).To(Equal(pending))
				g.Expect(s.pending).To(Equal(1))

				at, ok := s.next()
				g.Expect(ok).To(BeTrue())
				f, _ := s.start(at)
				g.Expect(s.finish(at, f, result)).To(Equal(proven))
			})
		}
	}
	t.Run("failure after a success", func(t *testing.T) {
		g := NewWithT(t)
		s := reachedOnce(t)
		at, _ := s.next()
		first, _ := s.start(at)
		second, ok := s.start(at + hedgeDelay)
		g.Expect(ok).To(BeTrue())
		s.finish(at+hedgeDelay, second, probe.Result{})
		s.finish(at+2*time.Second, first, timedOut())
		g.Expect(s.pair(first.target.Address).failed).To(BeZero())
	})
}

// TestTakeover: a port that belonged to another app a moment ago is left alone
// until the proxies know; a changed probe is not held back.
func TestTakeover(t *testing.T) {
	other := func(s *service) { s.key.Name, s.uid = "other", "2" }
	for _, tc := range []struct {
		name   string
		change func(*service)
		after  time.Duration
		want   time.Duration
	}{
		{"another UID", func(s *service) { s.uid = "2" }, 0, settleTime},
		{"another app", other, 0, settleTime},
		{"another app a moment later", other, time.Second, settleTime},
		{"another app long after", other, time.Hour, time.Hour},
		{"other pods", func(s *service) { s.routing++ }, 0, settleTime},
		{"another path", func(s *service) { s.probe.Path = "/x" }, 0, 0},
		{"another port", func(s *service) { s.port++ }, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			s := newSchedule(8)
			s.assign(0, addresses("10.0.0.1"), smallCluster)
			svc := onPorts(30000)[0]
			s.setService(0, svc)
			if tc.after > 0 {
				s.deleteService(0, svc.key)
			}
			tc.change(&svc)
			g.Expect(s.setService(tc.after, svc)).To(BeTrue())
			due, ok := s.next()
			g.Expect(ok).To(BeTrue())
			g.Expect(due).To(Equal(tc.want))
		})
	}
}

func TestUnrelatedChangesKeepResults(t *testing.T) {
	g := NewWithT(t)
	s := reachedOnce(t)
	before := s.queue[0].due
	g.Expect(s.setService(0, onPorts(30000)[0])).To(BeFalse())
	g.Expect(s.replaceServices(0, onPorts(30000))).To(BeFalse())
	g.Expect(s.deleteService(0, onPorts(1)[0].key)).To(BeFalse())
	s.setService(0, onPorts(30001)[0])
	s.assign(0, addresses("10.0.0.1", "10.0.0.2"), smallCluster)
	s.deleteService(0, onPorts(30001)[0].key)

	p := s.pair(netip.MustParseAddrPort("10.0.0.1:30000"))
	g.Expect(p.state).To(Equal(reached))
	g.Expect(p.due).To(Equal(before))
	g.Expect(s.pending).To(Equal(1), "that of the new address")
	g.Expect(s.queue).To(HaveLen(2))
}

// TestTurnsAreSpread: in a steady state each pair has one turn per period, and
// the turns of all are spread over its beats.
func TestTurnsAreSpread(t *testing.T) {
	g := NewWithT(t)
	s := newSchedule(1000)
	var nodes []netip.Addr
	for i := range 10 {
		nodes = append(nodes, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	var ports []uint16
	for port := uint16(30000); port < 30100; port++ {
		ports = append(ports, port)
	}
	s.assign(0, nodes, smallCluster)
	s.replaceServices(0, onPorts(ports...))
	play(s, 0, 5*time.Second)

	perSecond := make([]int, 5)
	perPair := map[netip.AddrPort]int{}
	perBeat := map[time.Duration]int{}
	play(s, 5*time.Second, 10*time.Second, func(now time.Duration, f flight) {
		perSecond[(now-5*time.Second)/time.Second]++
		perPair[f.target.Address]++
		perBeat[now]++
	})
	g.Expect(perSecond).To(HaveEach(BeNumerically("~", 200, 50)))
	g.Expect(perPair).To(HaveLen(1000))
	g.Expect(perPair).To(HaveEach(1))
	for at, probes := range perBeat {
		g.Expect(at%beat).To(BeZero(), "many are made at one awakening")
		g.Expect(probes).To(BeNumerically("<", 20), "four on the average")
	}
}

func TestPeriodsStretch(t *testing.T) {
	g := NewWithT(t)
	s := reachedOnce(t)
	p := s.pair(netip.MustParseAddrPort("10.0.0.1:30000"))
	g.Expect(s.period(p)).To(Equal(5 * time.Second))

	s.resize(5000)
	g.Expect(5000/s.period(p).Seconds()).To(BeNumerically("~", budget.PerApp, 0.01), "probes per second of all nodes")

	s.resize(16)
	var ports []uint16
	for port := uint16(30000); port < 35000; port++ {
		ports = append(ports, port)
	}
	s.replaceServices(0, onPorts(ports...))
	p = s.pair(netip.MustParseAddrPort("10.0.0.1:30000"))
	g.Expect(s.period(p)).To(BeNumerically("~", 10*time.Second, time.Millisecond), "500 of 5000 per second")

	s.replaceServices(0, nil)
	g.Expect(s.stretch).To(BeEquivalentTo(1))
}

// TestFailingPairsSlowDown counts the probes of a pair that goes on failing.
func TestFailingPairsSlowDown(t *testing.T) {
	g := NewWithT(t)
	s := reachedOnce(t)
	var gaps []time.Duration
	last := time.Duration(0)
	playWith(s, 0, time.Minute, refused(), func(now time.Duration, _ flight) {
		gaps = append(gaps, (now - last).Round(100*time.Millisecond))
		last = now
	})
	g.Expect(gaps[1]).To(Equal(confirmDelay))
	g.Expect(gaps[2]).To(Equal(fastest))
	g.Expect(gaps[len(gaps)-1]).To(Equal(5 * time.Second))
	g.Expect(len(gaps)).To(BeNumerically("~", 24, 4))
}

func TestLimit(t *testing.T) {
	g := NewWithT(t)
	s := newSchedule(2)
	s.assign(0, addresses("10.0.0.1", "10.0.0.2", "10.0.0.3"), smallCluster)
	s.replaceServices(0, onPorts(30000))
	first, ok := s.start(0)
	g.Expect(ok).To(BeTrue())
	_, ok = s.start(0)
	g.Expect(ok).To(BeTrue())
	_, ok = s.start(0)
	g.Expect(ok).To(BeFalse())
	_, ok = s.next()
	g.Expect(ok).To(BeFalse())

	// One whose pair is gone still counts until it ends.
	s.assign(0, nil, smallCluster)
	s.assign(0, addresses("10.0.0.1"), smallCluster)
	_, ok = s.start(0)
	g.Expect(ok).To(BeFalse())
	s.finish(0, first, probe.Result{})
	_, ok = s.start(0)
	g.Expect(ok).To(BeTrue())
}

// TestSteadyStateAllocatesNothing: but for the probe itself.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	s := reachedOnce(t)
	now := time.Duration(0)
	NewWithT(t).Expect(testing.AllocsPerRun(100, func() {
		now, _ = s.next()
		f, _ := s.start(now)
		s.finish(now, f, probe.Result{})
	})).To(BeZero())
}

// reachedOnce is a schedule of one pair, 10.0.0.1:30000, that was reached.
func reachedOnce(t *testing.T) *schedule {
	t.Helper()
	s := newSchedule(8)
	s.assign(0, addresses("10.0.0.1"), smallCluster)
	s.setService(0, onPorts(30000)[0])
	f, ok := s.start(0)
	NewWithT(t).Expect(ok).To(BeTrue())
	NewWithT(t).Expect(s.finish(0, f, probe.Result{})).To(Equal(proven))
	return s
}

// play runs s over a stretch of time in which every probe is answered at once.
func play(s *schedule, from, to time.Duration, see ...func(time.Duration, flight)) {
	playWith(s, from, to, probe.Result{}, see...)
}

func playWith(s *schedule, from, to time.Duration, result probe.Result, see ...func(time.Duration, flight)) {
	for now := from; ; {
		due, ok := s.next()
		if !ok || due >= to {
			return
		}
		now = max(now, due)
		f, _ := s.start(now)
		for _, see := range see {
			see(now, f)
		}
		s.finish(now, f, result)
	}
}

// TestObserversTakeTurns plays five observers of one target, none of which knows
// of the others.
func TestObserversTakeTurns(t *testing.T) {
	g := NewWithT(t)
	address := netip.MustParseAddr("10.0.0.1")
	var dials []time.Duration
	for turn := range uint64(5) {
		s := newSchedule(8)
		s.takeTurns(map[netip.Addr]uint32{address: uint32(turn << 32 / 5)})
		s.assign(0, []netip.Addr{address}, smallCluster)
		s.setService(0, onPorts(30000)[0])
		play(s, 0, time.Second)
		play(s, time.Second, 6*time.Second, func(now time.Duration, _ flight) { dials = append(dials, now) })
	}
	slices.Sort(dials)
	g.Expect(dials).To(HaveLen(5))
	for i := range dials[1:] {
		g.Expect(dials[i+1] - dials[i]).To(BeNumerically("~", time.Second, time.Millisecond))
	}
}
