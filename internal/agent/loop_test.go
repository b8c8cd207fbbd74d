package agent

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/agent/schedule"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// bubble runs a loop in the fake time of synctest, against a network and an API
// server of its own.
type bubble struct {
	g    Gomega
	loop *loop

	mu sync.Mutex
	// behave is what an address does: answer after a while, with a result.
	behave map[netip.AddrPort]behaviour
	// dials is how often each address was dialled, and latest when last.
	dials  map[netip.AddrPort]int
	latest map[netip.AddrPort]time.Time
	// ended is when the last probe of each address that was not cut short ended.
	ended    map[netip.AddrPort]time.Time
	most     int
	underWay int

	// listed are the Services that the loop was given last.
	listed map[uint16]service.Service

	// api is what the API server does with a write.
	api func() error

	// writes are those that the API server took, and attempts all.
	writes   []written
	attempts int
	logs     []string
}

type behaviour struct {
	result probe.Result
	after  time.Duration

	// flaps is how long the address answers at once before it does what else it
	// does for as long, and so on; 0 if it never does.
	flaps time.Duration
}

// now returns what an address does in a moment.
func (b behaviour) now() behaviour {
	if b.flaps > 0 && time.Now().UnixNano()/int64(b.flaps)%2 == 0 {
		return behaviour{}
	}
	return b
}

type written struct {
	at     time.Time
	status v1alpha1.NodeReachabilityStatus
}

// inBubble runs test with a running loop that knows no Service and no address.
func inBubble(t *testing.T, test func(t *testing.T, b *bubble)) {
	t.Helper()
	inBubbleOf(t, 32, test)
}

// inBubbleOf is the same with a number of workers.
func inBubbleOf(t *testing.T, workers int, test func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{
			g:      NewWithT(t),
			behave: map[netip.AddrPort]behaviour{},
			dials:  map[netip.AddrPort]int{},
			latest: map[netip.AddrPort]time.Time{},
			ended:  map[netip.AddrPort]time.Time{},
			api:    func() error { return nil },
		}
		log := funcr.New(func(_, args string) { b.logs = append(b.logs, args) }, funcr.Options{})
		b.loop = newLoop(workers, b, b.publish, log)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { b.loop.run(ctx) })
		defer running.Wait()
		defer stop()
		test(t, b)
	})
}

// Probe behaves as the address does; what takes longer than the timeout ends
// in silence.
func (b *bubble) Probe(ctx context.Context, target probe.Target) probe.Result {
	b.mu.Lock()
	does := b.behave[target.Address].now()
	b.dials[target.Address]++
	b.latest[target.Address] = time.Now()
	b.underWay++
	b.most = max(b.most, b.underWay)
	b.mu.Unlock()
	if does.after >= target.Timeout {
		does.result, does.after = timedOut(), target.Timeout
	}
	timer := time.NewTimer(max(does.after, time.Millisecond))
	defer timer.Stop()
	cut := false
	select {
	case <-timer.C:
	case <-ctx.Done():
		cut = true
		does.result = probe.Result{Reason: probe.NotDialled}
	}
	b.mu.Lock()
	b.underWay--
	if !cut {
		b.ended[target.Address] = time.Now()
	}
	b.mu.Unlock()
	return does.result
}

func (b *bubble) publish(ctx context.Context, _ types.UID, status v1alpha1.NodeReachabilityStatus) error {
	_, bounded := ctx.Deadline()
	b.g.Expect(bounded).To(BeTrue(), "no write takes for ever")
	b.mu.Lock()
	b.attempts++
	api := b.api
	b.mu.Unlock()
	if err := api(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes = append(b.writes, written{time.Now(), status})
	return nil
}

// dialled returns how often address was dialled.
func (b *bubble) dialled(address string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dials[netip.MustParseAddrPort(address)]
}

// lastDial returns when address was dialled last.
func (b *bubble) lastDial(address string) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.latest[netip.MustParseAddrPort(address)]
}

// attempted returns the number of writes, with those that failed.
func (b *bubble) attempted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.attempts
}

// reports returns the writes that the API server took.
func (b *bubble) reports() []written {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.writes)
}

// newest returns the last of them, if there is one.
func (b *bubble) newest() (written, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.writes) == 0 {
		return written{}, false
	}
	return b.writes[len(b.writes)-1], true
}

// make sets what an address does from now on.
func (b *bubble) make(address string, does behaviour) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.behave[netip.MustParseAddrPort(address)] = does
}

// serve sets what the API server does from now on.
func (b *bubble) serve(api func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.api = api
}

// assign gives the loop addresses as generation generation.
func (b *bubble) assign(generation int64, heartbeat time.Duration, texts ...string) {
	b.loop.post(func(now time.Duration) {
		b.loop.assign(now, assignment{
			generation: generation,
			Assignment: schedule.Assignment{Heartbeat: heartbeat, Addresses: addresses(texts...)},
		})
	})
}

// follow gives the loop an assignment that an API server may hold.
func (b *bubble) follow(reachability *v1alpha1.NodeReachability) {
	a := assignmentOf(reachability)
	b.loop.post(func(now time.Duration) { b.loop.assign(now, a) })
}

// list gives the loop all Services.
func (b *bubble) list(version string, services ...service.Service) {
	b.listed = map[uint16]service.Service{}
	for _, svc := range services {
		b.listed[svc.Port] = svc
	}
	b.loop.post(func(now time.Duration) { b.loop.list(now, services, version) })
}

// wait lets time pass.
func (b *bubble) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// last is the newest report.
func (b *bubble) last() v1alpha1.NodeReachabilityStatus {
	newest, ok := b.newest()
	b.g.Expect(ok).To(BeTrue())
	return newest.status
}

// until returns how long it takes for a report to satisfy want, at most a
// minute.
func (b *bubble) until(want func(v1alpha1.NodeReachabilityStatus) bool) time.Duration {
	from := time.Now()
	for time.Since(from) < time.Minute {
		b.wait(10 * time.Millisecond)
		if newest, ok := b.newest(); ok && want(newest.status) {
			return newest.at.Sub(from)
		}
	}
	b.g.Expect(b.last()).To(Satisfy(want))
	return 0
}

func fails(s v1alpha1.NodeReachabilityStatus) bool { return len(s.Failures) > 0 }
func clean(s v1alpha1.NodeReachabilityStatus) bool { return len(s.Failures)+len(s.Pending) == 0 }

const (
	one = "10.0.0.1:30000"

	// hedgeDelay is how long a probe may stay without an answer until the next starts,
	// and portReuseDelay how long a port that changed hands is not dialled.
	hedgeDelay     = 300 * time.Millisecond
	portReuseDelay = 1500 * time.Millisecond
)

// steady has 10.0.0.1:30000 reached and reported, and the time of the next
// probe not in sight.
func (b *bubble) steady() {
	b.assign(1, protocol.PromptHeartbeat, "10.0.0.1")
	b.list("7", onPorts(30000)...)
	b.wait(12 * time.Second)
	b.g.Expect(b.last()).To(Satisfy(clean))
}

func TestFirstReport(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.make("10.0.0.2:30001", behaviour{after: 1500 * time.Millisecond})
		b.list("7", onPorts(30000, 30001)...)
		b.wait(time.Minute)
		b.g.Expect(b.attempted()).To(BeZero(), "there is no NodeReachability")

		b.assign(4, protocol.PromptHeartbeat, "10.0.0.1", "10.0.0.2")
		b.wait(1400 * time.Millisecond)
		b.g.Expect(b.reports()).To(BeEmpty(), "one pair has no result")
		b.wait(time.Second)
		b.g.Expect(b.reports()).To(HaveLen(1))
		report := b.last()
		b.g.Expect(report).To(Satisfy(clean))
		b.g.Expect(report.ObservedGeneration).To(BeEquivalentTo(4))
		b.g.Expect(report.ServicesResourceVersion).To(Equal("7"))
		b.g.Expect(report.Addresses).To(Equal([]string{"10.0.0.1", "10.0.0.2"}))
		b.g.Expect(report.NodePorts).To(Equal("30000-30001"))
		b.g.Expect(report.RenewTime.Time).To(BeTemporally("~", time.Now(), time.Second))
	})
}

func TestFirstReportWaitsForServices(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.assign(1, protocol.PromptHeartbeat, "10.0.0.1")
		b.wait(time.Minute)
		b.g.Expect(b.attempted()).To(BeZero())
		b.list("7")
		b.wait(time.Second)
		b.g.Expect(b.reports()).To(HaveLen(1), "no Services is something to report")
	})
}

// TestSpeed breaks and mends a node port at many instants of its period, and
// looks at how long it takes for the report to say so.
func TestSpeed(t *testing.T) {
	refuses, drops := behaviour{result: refused()}, behaviour{after: time.Hour}
	for _, tc := range []struct {
		name     string
		broken   behaviour
		down     time.Duration
		breaks   time.Duration
		recovers time.Duration
	}{
		{"refused for a moment", refuses, 3 * time.Second, 5250 * time.Millisecond, 1200 * time.Millisecond},
		{"dropped for a moment", drops, 3 * time.Second, 7450 * time.Millisecond, 3200 * time.Millisecond},
		{"refused for long", refuses, time.Minute, 5250 * time.Millisecond, 5200 * time.Millisecond},
		{"dropped for long", drops, time.Minute, 7450 * time.Millisecond, 5200 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				b.steady()
				var offset, breaks, recovers time.Duration
				for range 50 {
					b.make(one, tc.broken)
					breaks = max(breaks, b.until(fails))
					b.wait(tc.down)
					b.make(one, behaviour{})
					recovers = max(recovers, b.until(clean))
					b.wait(10*time.Second + offset)
					offset = (offset + 271*time.Millisecond) % (5 * time.Second)
				}
				t.Logf("at most %s from break to report, %s from recovery", breaks, recovers)
				b.g.Expect(breaks).To(BeNumerically("<=", tc.breaks))
				b.g.Expect(recovers).To(BeNumerically("<=", tc.recovers))
			})
		})
	}
}

// TestLostPackets: the kernel repeats a lost SYN after a second, and the probe
// beside it is answered at once.
func TestLostPackets(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.steady()
		for range 20 {
			before := b.dialled(one)
			b.make(one, behaviour{after: 1010 * time.Millisecond})
			for b.dialled(one) == before {
				b.wait(10 * time.Millisecond)
			}
			b.make(one, behaviour{})
			b.wait(7 * time.Second)
		}
		for _, w := range b.reports() {
			b.g.Expect(w.status).To(Satisfy(clean))
		}
	})
}

// TestTakeoverIsReported: when another app takes over the port, the old app's
// answer never counts for it, and the report says so by resourceVersion.
func TestTakeoverIsReported(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.steady()
		b.make(one, behaviour{after: 1900 * time.Millisecond})
		b.wait(5 * time.Second) // a slow probe of the old app is under way now and then
		other := onPorts(30000)[0]
		other.Key.Name, other.UID = "other", "2"
		b.list("9", other)
		b.wait(portReuseDelay - time.Millisecond)
		b.make(one, behaviour{result: refused()})
		b.until(func(s v1alpha1.NodeReachabilityStatus) bool { return s.ServicesResourceVersion == "9" })
		b.until(fails)
		for _, w := range b.reports() {
			b.g.Expect(w.status.ServicesResourceVersion == "9" && clean(w.status)).To(BeFalse())
		}
	})
}

// TestNewServiceIsOneReport: neither pending first nor once per address.
func TestNewServiceIsOneReport(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.steady()
		before := len(b.reports())
		b.list("8", onPorts(30000, 30001, 30002, 30003)...)
		b.wait(300 * time.Millisecond)
		b.g.Expect(b.reports()).To(HaveLen(before + 1))
		b.g.Expect(b.last().NodePorts).To(Equal("30000-30003"))
		b.g.Expect(b.last()).To(Satisfy(clean))
	})
}

// TestHeartbeat: a steady state is renewed up to a tenth early, and nothing in
// the report changes but the time and the counts of probes.
func TestHeartbeat(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.steady()
		b.wait(10 * time.Minute)
		reports := b.reports()
		for i, w := range reports[1:] {
			gap := w.at.Sub(reports[i].at)
			b.g.Expect(gap).To(And(BeNumerically(">=", 9*time.Second), BeNumerically("<=", 10*time.Second)))
			before, after := reports[i].status, w.status
			before.RenewTime, after.RenewTime = nil, nil
			before.Probes, after.Probes = nil, nil
			b.g.Expect(after).To(Equal(before))
		}
		b.g.Expect(b.logs).To(BeEmpty())
	})
}

func TestHeartbeatGetsShorter(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.assign(1, 5*time.Minute, "10.0.0.1")
		b.list("7", onPorts(30000)...)
		b.wait(time.Minute)
		b.assign(2, protocol.PromptHeartbeat, "10.0.0.1")
		b.wait(2 * time.Second)
		b.g.Expect(b.last().ObservedGeneration).To(BeEquivalentTo(2))
		before := len(b.reports())
		b.wait(21 * time.Second)
		b.g.Expect(len(b.reports())).To(BeNumerically(">=", before+2))
	})
}

// TestChangesKeepTheirDistance: a flapping node port costs one write a second.
func TestChangesKeepTheirDistance(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.steady()
		for range 200 {
			b.make(one, behaviour{result: refused()})
			b.wait(250 * time.Millisecond)
			b.make(one, behaviour{result: timedOut(), after: time.Millisecond})
			b.wait(250 * time.Millisecond)
			b.list("8", onPorts(30000, 30001)...)
			b.wait(50 * time.Millisecond)
			b.list("9", onPorts(30000)...)
			b.wait(50 * time.Millisecond)
		}
		reports := b.reports()
		for i, w := range reports[1:] {
			b.g.Expect(w.at.Sub(reports[i].at)).To(BeNumerically(">=", time.Second-time.Millisecond))
		}
	})
}

// TestOutage: probing goes on, each attempt carries the newest state, and the
// log has one line for the beginning and one for the end.
func TestOutage(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.steady()
		b.serve(func() error { return errors.New("connection refused") })
		before, attempts := b.dialled(one), b.attempted()
		b.wait(10 * time.Minute)
		b.g.Expect(b.dialled(one)).To(BeNumerically("~", before+120, 2))
		b.g.Expect(b.attempted()-attempts).To(BeNumerically("~", 450, 150), "every 1 to 2 s")
		b.make(one, behaviour{result: refused()})
		b.wait(time.Minute)
		b.serve(func() error { return nil })
		b.g.Expect(b.until(fails)).To(BeNumerically("<=", 2*time.Second+reporter.Debounce))
		b.g.Expect(b.logs).To(HaveLen(2))
	})
}

// TestSlowAPIServer: a write that hangs holds up neither probes nor, once it
// ends, the news.
func TestSlowAPIServer(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.steady()
		b.serve(func() error { time.Sleep(25 * time.Second); return nil })
		b.wait(11 * time.Second)
		before := b.dialled(one)
		b.wait(10 * time.Second)
		b.g.Expect(b.dialled(one)).To(BeNumerically(">=", before+2))
		b.make(one, behaviour{result: refused()})
		b.wait(10 * time.Second)
		b.serve(func() error { return nil })
		b.g.Expect(b.until(fails)).To(BeNumerically("<=", 26*time.Second))
	})
}

// TestGone: without its NodeReachability the agent dials nobody and writes
// nothing, and it does not complain. It begins anew with the next one.
func TestGone(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.steady()
		b.serve(func() error {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "nodereachabilities"}, "node")
		})
		b.wait(15 * time.Second)
		b.loop.post(b.loop.unassign)
		b.wait(15 * time.Second)
		attempts, dials := b.attempted(), b.dialled(one)
		b.wait(time.Minute)
		b.g.Expect(b.attempted()).To(Equal(attempts))
		b.g.Expect(b.dialled(one)).To(Equal(dials))

		b.serve(func() error { return nil })
		b.assign(1, protocol.PromptHeartbeat, "10.0.0.1", "10.0.0.2")
		b.wait(2 * time.Second)
		b.g.Expect(b.last().Addresses).To(HaveLen(2))
		b.g.Expect(b.last()).To(Satisfy(clean))
		b.g.Expect(b.logs).To(BeEmpty())
	})
}

func TestWorkersAreBounded(t *testing.T) {
	inBubbleOf(t, 16, func(_ *testing.T, b *bubble) {
		var ports []uint16
		for port := uint16(30000); port < 30020; port++ {
			ports = append(ports, port)
			b.make(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port).String(),
				behaviour{result: timedOut(), after: time.Hour})
		}
		b.assign(1, protocol.PromptHeartbeat, "10.0.0.1")
		b.list("7", onPorts(ports...)...)
		b.wait(5 * time.Minute)
		b.g.Expect(b.most).To(And(BeNumerically(">", 8), BeNumerically("<=", 16)))
		b.g.Expect(b.last().Failures).To(HaveLen(1))
		b.g.Expect(b.last().Failures[0].NodePorts).To(Equal("30000-30019"))
	})
}

func TestRefusedAddressesAreLoggedOnce(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		for generation := range int64(3) {
			b.loop.post(func(now time.Duration) {
				b.loop.assign(now, assignment{
					generation: generation, refused: []string{"127.0.0.1"},
					Assignment: schedule.Assignment{Heartbeat: protocol.PromptHeartbeat},
				})
			})
		}
		synctest.Wait()
		b.g.Expect(b.logs).To(HaveLen(1))
	})
}

// TestReportCountsProbes: in a minute, one address answers after 20 ms and
// another stays silent.
func TestReportCountsProbes(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.make("10.0.0.1:30000", behaviour{after: 20 * time.Millisecond})
		b.make("10.0.0.2:30000", behaviour{after: time.Hour})
		b.assign(1, protocol.PromptHeartbeat, "10.0.0.1", "10.0.0.2")
		b.list("7", onPorts(30000)...)
		b.wait(time.Minute)
		probes := b.last().Probes
		b.g.Expect(probes.Results).To(HaveLen(2))
		answered := probes.Results[0]
		b.g.Expect(answered).To(Equal(v1alpha1.ProbeCount{Result: "Reached", Count: answered.Count}))
		b.g.Expect(answered.Count).To(BeNumerically(">=", 9))
		b.g.Expect(probes.Results[1].Result).To(Equal("Timeout"))
		b.g.Expect(probes.Latency.Counts).To(Equal([]int64{0, 0, 0, answered.Count, 0, 0, 0, 0, 0}))
		b.g.Expect(probes.Latency.SumMicroseconds).To(Equal(20_000 * answered.Count))
	})
}
