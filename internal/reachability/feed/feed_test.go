package feed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
)

const heartbeat = 10 * time.Second

func web() types.NamespacedName { return types.NamespacedName{Namespace: "shop", Name: "web"} }

// lab is an API server with reports about node a, a feed of them, and what came of it.
type lab struct {
	*WithT
	state   *reachability.State
	reports *Reports

	items   []string
	version int
	watches chan *watch.FakeWatcher
	silent  atomic.Bool // does not answer when asked
	away    atomic.Bool // does not list
	asked   int

	changesLock sync.Mutex
	changes     []Change
}

// report is that of a node which reaches node a, renewed now.
func (l *lab) report(node, change string) string {
	l.version++
	return fmt.Sprintf(`{"metadata": {"name": %q, "uid": %q, "resourceVersion": "%d"},
		"spec": {"heartbeatSeconds": %d, "targets": [{"node": "a", "addresses": ["10.0.0.1"]}]},
		"status": {"renewTime": %q, "servicesResourceVersion": "100", "addresses": ["10.0.0.1"], "nodePorts": "31000"%s}}`,
		node, node, l.version, int(heartbeat.Seconds()),
		time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00"), change)
}

// newLab has nodes a, b and c, and an app that has been known for long.
func newLab(t *testing.T) *lab {
	l := &lab{WithT: NewWithT(t), state: reachability.NewState(), watches: make(chan *watch.FakeWatcher, 1)}
	var nodes []reachability.Node
	for i, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, reachability.Node{Name: name, Ready: true, Addresses: map[corev1.IPFamily]netip.Addr{
			corev1.IPv4Protocol: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}),
		}})
	}
	l.state.SetNodes(nodes)
	l.state.SetApp(web(), reachability.App{
		Service: reachability.Service{UID: "web", NodePort: 31000, Families: "IPv4"}, ResourceVersion: "100",
		Families:  []corev1.IPFamily{corev1.IPv4Protocol},
		Endpoints: reachability.Endpoints{{Family: corev1.IPv4Protocol, Node: "b", Ready: true}},
		Period:    5 * time.Second, Known: true,
	}, time.Now())
	return l
}

// run starts the feed and ends it with the test.
func (l *lab) run(t *testing.T) {
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			if l.away.Load() {
				return nil, apierrors.NewServiceUnavailable("starting")
			}
			list := &metav1.List{ListMeta: metav1.ListMeta{ResourceVersion: fmt.Sprint(l.version)}}
			for _, body := range l.items {
				list.Items = append(list.Items, runtime.RawExtension{Object: decode([]byte(body))})
			}
			return list, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			watcher := watch.NewFake()
			l.watches <- watcher
			return watcher, nil
		},
	}
	l.reports = newReports(source, l.state, clock.RealClock{}, func(string, error) {}, func(context.Context) error {
		l.asked++
		if l.silent.Load() {
			return errors.New("no answer")
		}
		return nil
	})
	l.reports.Subscribe(func(change Change) {
		l.changesLock.Lock()
		defer l.changesLock.Unlock()
		l.changes = append(l.changes, change)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.reports.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	l.Expect(l.reports.WaitForSync(ctx)).To(Succeed())
	synctest.Wait()
}

// heard returns the changes since the last call.
func (l *lab) heard() []Change {
	l.changesLock.Lock()
	defer l.changesLock.Unlock()
	changes := l.changes
	l.changes = nil
	return changes
}

// row is what is said of node a.
func (l *lab) row() string {
	verdicts, _ := verdict.Append(nil, l.state, web(), time.Now())
	return fmt.Sprintf("%s %s %s", verdicts[0].State, verdicts[0].Observers, verdicts[0].Reason)
}

const (
	allReach = "Reachable 2/2 "
	nobody   = "Unknown  NoObserver"
)

// pass lets time pass, and everybody do what is due by then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func inBubble(t *testing.T, story func(t *testing.T, l *lab)) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.items = []string{l.report("b", ""), l.report("c", "")}
		story(t, l)
	})
}

func TestListedReportsCount(t *testing.T) {
	inBubble(t, func(t *testing.T, l *lab) {
		l.run(t)
		l.Expect(l.row()).To(Equal(allReach))
		changes := l.heard()
		l.Expect(changes).To(HaveLen(2))
		l.Expect(changes).To(HaveEach(And(HaveField("Before", BeNil()), HaveField("Touched", ConsistOf(web())))))
	})
}

func TestWatchedReportsCount(t *testing.T) {
	inBubble(t, func(t *testing.T, l *lab) {
		l.run(t)
		l.heard()
		watcher := <-l.watches
		fails := `, "failures": [{"reason": "Timeout", "nodePorts": "31000", "addresses": ["10.0.0.1"]}]`
		watcher.Modify(decode([]byte(l.report("b", fails))))
		synctest.Wait()
		l.Expect(l.row()).To(HavePrefix("Unreachable 1/2"))
		l.Expect(l.heard()).To(ConsistOf(HaveField("Before.Name", "b")))

		watcher.Delete(decode([]byte(l.report("b", ""))))
		synctest.Wait()
		l.Expect(l.row()).To(Equal("Reachable 1/1 "))
		l.Expect(l.state.ReportOf("b")).To(BeNil())
	})
}

// A watch that expired has everything listed again.
func TestListAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, l *lab) {
		l.run(t)
		known := l.state.Reports()
		expire := func() {
			watcher := <-l.watches
			watcher.Error(&apierrors.NewResourceExpired("too old").ErrStatus)
			pass(2 * time.Second)
		}
		l.heard()
		expire()
		l.Expect(l.row()).To(Equal(allReach))
		changes := l.heard()
		l.Expect(changes).NotTo(BeEmpty())
		l.Expect(changes).To(HaveEach(HaveField("Touched", BeEmpty())), "nothing is new")
		l.Expect(l.state.Reports()).To(Equal(known), "what is known is kept, and nothing beside it")

		l.items = l.items[1:]
		expire()
		l.Expect(l.row()).To(Equal("Reachable 1/1 "), "what is not listed is gone")
		l.Expect(l.state.Reports()).To(HaveLen(1))
	})
}

func TestReportThatCannotBeReadConcernsNobodyElse(t *testing.T) {
	for name, part := range map[string]struct{ body, field string }{
		"a time":       {`{"metadata": {"name": "b", "uid": "b", "resourceVersion": "5"}, "status": {"renewTime": "2026-05-04T03:02:01Z"}}`, "status.renewTime"},
		"a number":     {`{"metadata": {"name": "b", "uid": "b", "resourceVersion": "5"}, "status": {"recheckRound": "x"}}`, "status.recheckRound"},
		"a spec":       {`{"metadata": {"name": "b", "uid": "b", "resourceVersion": "5"}, "spec": {"heartbeatSeconds": 3000000000}}`, "spec.heartbeatSeconds"},
		"a node port":  {`{"metadata": {"name": "b", "uid": "b", "resourceVersion": "5"}, "status": {"nodePorts": "31000-"}}`, "status.nodePorts"},
		"another kind": {`{"metadata": {"name": "b", "uid": "b", "resourceVersion": "5"}, "status": []}`, "status"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, l *lab) {
				l.items[0] = part.body
				l.run(t)
				l.Expect(l.row()).To(Equal("Reachable 1/1 "))
				l.Expect(l.state.ReportOf("b").Err()).To(MatchError(HavePrefix(part.field + ":")))

				(<-l.watches).Modify(decode([]byte(l.report("b", ""))))
				synctest.Wait()
				l.Expect(l.row()).To(Equal(allReach), "it is read again when it can be")
			})
		})
	}
}

func TestReportsBecomeStale(t *testing.T) {
	inBubble(t, func(t *testing.T, l *lab) {
		l.run(t)
		l.heard()
		pass(3*heartbeat - 2*time.Second)
		l.Expect(l.row()).To(Equal(allReach))
		pass(3 * time.Second)
		l.Expect(l.row()).To(Equal(nobody), "the API server answers, so it is the agents that are silent")
		l.Expect(l.asked).To(Equal(1))
		l.Expect(l.heard()).To(ContainElement(HaveField("Touched", ConsistOf(web()))))
	})
}

// One agent that is silent beside others is silent by itself.
func TestSilenceOfOneAsksNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, l *lab) {
		l.run(t)
		watcher := <-l.watches
		for range 8 {
			pass(heartbeat / 2)
			watcher.Modify(decode([]byte(l.report("c", ""))))
		}
		synctest.Wait()
		l.Expect(l.row()).To(Equal("Reachable 1/1 "))
		l.Expect(l.asked).To(BeZero())
	})
}

// A watch does not tell an API server that is stopped from agents that are.
func TestSilentAPIServerAgesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, l *lab) {
		l.silent.Store(true)
		l.run(t)
		watcher := <-l.watches
		pass(2 * time.Minute)
		l.Expect(l.row()).To(Equal(allReach))

		l.silent.Store(false)
		pass(2*heartbeat + heartbeat/2)
		l.Expect(l.row()).To(Equal(allReach), "the agents have as long as they had left")
		watcher.Modify(decode([]byte(l.report("b", ""))))
		pass(heartbeat)
		l.Expect(l.row()).To(Equal("Reachable 1/1 "), "and no longer")
	})
}

func TestAPIServerThatIsAwayAgesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, l *lab) {
		l.run(t)
		l.away.Store(true)
		(<-l.watches).Error(&apierrors.NewResourceExpired("too old").ErrStatus)
		pass(5 * time.Minute)
		l.Expect(l.row()).To(Equal(allReach))

		l.away.Store(false)
		pass(2 * heartbeat)
		l.Expect(l.row()).To(Equal(allReach))
		pass(heartbeat + 5*time.Second)
		l.Expect(l.row()).To(Equal(nobody))
	})
}

// An operator that was stopped has not read yet what came meanwhile.
func TestStoppedOperatorAgesNothing(t *testing.T) {
	g := NewWithT(t)
	state, start := reachability.NewState(), time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	h := hearing{state: state, last: start, checked: start}
	l := &lab{WithT: g}
	report := decode([]byte(l.report("b", ""))).(*reachability.Report)
	report.Status.RenewTime = &metav1.MicroTime{Time: start}
	state.Fold(report, start)

	for i := range 10 {
		h.check(start.Add(time.Duration(i) * time.Second))
	}
	thawed := start.Add(time.Minute)
	h.check(thawed)
	g.Expect(h.silent(thawed)).To(BeFalse())
	g.Expect(state.Due(thawed)).To(BeZero())
	g.Expect(state.Due(thawed.Add(3*heartbeat - 10*time.Second))).To(BeZero())
	g.Expect(state.Due(thawed.Add(3 * heartbeat))).To(Equal(heartbeat))
}
