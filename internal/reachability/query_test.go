package reachability_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
)

// history is a State to which anything happens, of five nodes and two apps.
type history struct {
	*reachability.State

	chance *rand.Rand
	nodes  []reachability.Node
	apps   []types.NamespacedName
	now    time.Time
}

func newHistory(seed uint64) *history {
	h := &history{State: reachability.NewState(), chance: rand.New(rand.NewPCG(seed, 2)), now: later}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		h.nodes = append(h.nodes, reachability.Node{
			Name: name, Ready: true, Addresses: map[corev1.IPFamily]netip.Addr{corev1.IPv4Protocol: fifth(i)},
		})
	}
	h.SetNodes(h.nodes)
	for port := int32(31000); port <= 31001; port++ {
		h.apps = append(h.apps, types.NamespacedName{Name: fmt.Sprint(port)})
		h.SetApp(h.apps[len(h.apps)-1], reachability.App{
			Service: reachability.Service{NodePort: port}, ResourceVersion: "7", Period: 5 * time.Second,
			Families:  []corev1.IPFamily{corev1.IPv4Protocol},
			Endpoints: reachability.Endpoints{{Family: corev1.IPv4Protocol, Node: "a", Ready: true}},
		}, start)
	}
	return h
}

func fifth(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}) }

// pass has something happen.
func (h *history) pass(g Gomega) {
	h.now = h.now.Add(time.Second)
	observer := h.nodes[h.chance.IntN(len(h.nodes))].Name
	switch h.chance.IntN(22) {
	case 0:
		h.SetNodes(h.nodes[:2+h.chance.IntN(len(h.nodes)-1)])
	case 1:
		h.Remove(observer)
	case 2:
		h.now = h.now.Add(time.Duration(h.chance.IntN(30)) * time.Second)
		h.Expire(h.now)
	case 3:
		report := h.anyReport("lab")
		report.Labels = map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
		_, err := h.Report(report, h.now)
		g.Expect(err).NotTo(HaveOccurred())
	case 4:
		h.PauseExpiry(h.now)
		h.ResumeExpiry(h.now.Add(time.Second))
	default:
		report := h.anyReport(observer)
		if asked, found := h.Requests()[observer]; found && h.chance.IntN(2) == 0 {
			report.Spec.Recheck, report.Status.RecheckRound = &asked, asked.Round
		}
		_, err := h.Report(report, h.now)
		g.Expect(err).NotTo(HaveOccurred())
	}
}

// anyReport is most often one of an observer that reaches everything.
func (h *history) anyReport(observer string) *v1alpha1.NodeReachability {
	spec := v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10, ClusterSize: 16}
	var all []string
	for i := range h.nodes {
		all = append(all, fifth(i).String())
		spec.Targets = append(spec.Targets, v1alpha1.Target{Node: h.nodes[i].Name, Addresses: all[i:]})
	}
	status := v1alpha1.NodeReachabilityStatus{
		RenewTime: new(metav1.NewMicroTime(h.now)), ServicesResourceVersion: "7",
		Addresses: all[h.chance.IntN(2):], NodePorts: "31000-31001",
	}
	switch h.chance.IntN(22) {
	case 0:
		status.NodePorts = "31000"
	case 1:
		status.NodePorts = "31001"
	case 2:
		status.ServicesResourceVersion = "6"
	case 3:
		status.ServicesResourceVersion = "10"
	case 4:
		status.Failures = []v1alpha1.ProbeFailure{{Reason: "Timeout", NodePorts: "31000", Addresses: status.Addresses[:1]}}
	case 5, 6, 7, 8:
		status.Failures = []v1alpha1.ProbeFailure{{Reason: "Timeout", NodePorts: "31000-31001", Addresses: status.Addresses}}
	case 9:
		status.Pending = []v1alpha1.PendingProbes{{NodePorts: "31000", Addresses: status.Addresses[1:2]}}
	case 10:
		status.Pending = []v1alpha1.PendingProbes{{Reason: "OwnAddress", NodePorts: "31000", Addresses: status.Addresses[1:2]}}
	case 11, 12, 13:
		status.Pending = []v1alpha1.PendingProbes{
			{Reason: "TranslatedAtSource", NodePorts: "31000", Addresses: status.Addresses},
			{NodePorts: "31000", Addresses: status.Addresses[:h.chance.IntN(2)]},
		}
	}
	return &v1alpha1.NodeReachability{ObjectMeta: metav1.ObjectMeta{Name: observer}, Spec: spec, Status: status}
}

// TestStateFollowsTheReports has reports come, go and go stale at random. What is kept for
// speed's sake must always say what a look at everything would.
func TestStateFollowsTheReports(t *testing.T) {
	g := NewWithT(t)
	h := newHistory(1)
	seen, remembered := map[protocol.Outcome]int{}, 0
	for range 3000 {
		h.pass(g)
		for _, app := range h.apps {
			snapshot := h.Snapshot(app)
			for i := range snapshot.Nodes {
				node, site := snapshot.Nodes[i].Name, snapshot.Site(i, corev1.IPv4Protocol)
				said, all := site.Said(node, snapshot.App), 0
				for _, observers := range said {
					all += observers
				}
				consensus := site.Consensus(node)
				g.Expect(consensus.Observers).To(BeElementOf(0, all))
				for outcome, holds := range map[protocol.Outcome]func(*reachability.AppState) bool{
					protocol.Reached: consensus.Reached, protocol.Failed: consensus.Failed, protocol.Translated: consensus.Translated,
				} {
					g.Expect(holds(snapshot.App)).To(Equal(all > 0 && said[outcome] == all))
					if holds(snapshot.App) {
						seen[outcome]++
					}
				}
				if consensus.Disputed(snapshot.App) {
					g.Expect(said[protocol.Failed]).To(And(BeNumerically(">", 0), BeNumerically("<", all)))
					seen[protocol.Silent]++
				}
			}
			verdict.Append(nil, h.State, app, h.now)
			remembered = max(remembered, len(h.Snapshot(app).App.Records))
		}
		g.Expect(h.Wrong()).To(BeEmpty())
	}
	g.Expect(remembered).To(BeNumerically(">", 2))
	for _, outcome := range []protocol.Outcome{protocol.Silent, protocol.Reached, protocol.Failed, protocol.Translated} {
		g.Expect(seen[outcome]).To(BeNumerically(">", 100))
	}
}

// TestNodesThatShareAnAddress count once in what is remembered of it.
func TestNodesThatShareAnAddress(t *testing.T) {
	g := NewWithT(t)
	h := newHistory(5)
	h.nodes[4].Addresses = h.nodes[0].Addresses
	h.SetNodes(h.nodes)
	remembered := 0
	for range 1000 {
		h.pass(g)
		for _, app := range h.apps {
			verdict.Append(nil, h.State, app, h.now)
			if h.Snapshot(app).App.Records[fifth(0)] != nil {
				remembered++
			}
		}
		g.Expect(h.Wrong()).To(BeEmpty())
	}
	g.Expect(remembered).To(BeNumerically(">", 100))
}

// TestEvaluationIsAQuery: it gives the same again, and changes nothing. Of two states to
// which the same happens, one is asked once and the other three times.
func TestEvaluationIsAQuery(t *testing.T) {
	g := NewWithT(t)
	once, often := newHistory(2), newHistory(2)
	changes := 0
	for range 500 {
		once.pass(g)
		often.pass(g)
		for _, app := range once.apps {
			snapshot, same := once.Snapshot(app), often.Snapshot(app)
			result := verdict.Evaluate(nil, &snapshot, once.now)
			for range 2 {
				g.Expect(verdict.Evaluate(nil, &same, often.now)).To(Equal(result))
			}
			again := often.Snapshot(app)
			g.Expect(verdict.Evaluate(nil, &again, often.now)).To(Equal(result))
			g.Expect(once.Same(often.State)).To(BeTrue())

			changes += len(result.Changes)
			once.Remember(app, snapshot.App, result.Changes, once.now)
			often.Remember(app, again.App, verdict.Evaluate(nil, &again, often.now).Changes, often.now)
		}
		g.Expect(once.Requests()).To(Equal(often.Requests()))
	}
	g.Expect(changes).To(BeNumerically(">", 100))
}

// TestSnapshotStaysAsItIs, whatever happens after it.
func TestSnapshotStaysAsItIs(t *testing.T) {
	g := NewWithT(t)
	h := newHistory(3)
	for range 100 {
		h.pass(g)
		snapshot, now := h.Snapshot(h.apps[0]), h.now
		first := verdict.Evaluate(nil, &snapshot, now)
		for range 10 {
			h.pass(g)
			for _, app := range h.apps {
				verdict.Append(nil, h.State, app, h.now)
			}
		}
		g.Expect(verdict.Evaluate(nil, &snapshot, now)).To(Equal(first))
	}
}

// TestCountsStandForLists: where all observers report the same they are only counted. An
// observer outside that says nothing has them listed all the same.
func TestCountsStandForLists(t *testing.T) {
	g := NewWithT(t)
	counted, listed := newHistory(4), newHistory(4)
	stale := listed.anyReport("lab")
	stale.Labels = map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
	stale.Status = v1alpha1.NodeReachabilityStatus{Addresses: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}}
	states := map[v1alpha1.NodeState]int{}
	counted.anyReport("lab") // Both histories go on alike.
	for range 2000 {
		counted.pass(g)
		listed.pass(g)
		for _, h := range []*history{counted, listed} {
			h.Remove("lab")
		}
		_, err := listed.Report(stale, listed.now)
		g.Expect(err).NotTo(HaveOccurred())
		for _, app := range counted.apps {
			left, holds := verdict.Append(nil, counted.State, app, counted.now)
			right, lasts := verdict.Append(nil, listed.State, app, listed.now)
			g.Expect(left).To(Equal(right))
			g.Expect(holds).To(Equal(lasts))
			for i := range left {
				states[left[i].State]++
			}
		}
	}
	g.Expect(states).To(HaveLen(3))
}

// TestManyEvaluators judge at the same time while reports come. What they say in the end is
// what one says that heard everything before.
func TestManyEvaluators(t *testing.T) {
	g := NewWithT(t)
	const size, evaluators = 300, 16
	state := cluster(t, size, func(int, *v1alpha1.NodeReachability) {})
	calm := cluster(t, size, func(_ int, report *v1alpha1.NodeReachability) { refuses(report) })
	apps := make([]types.NamespacedName, evaluators)
	for i := range apps {
		apps[i] = types.NamespacedName{Name: fmt.Sprint(i)}
		app := webApp()
		app.Service.NodePort += int32(i % 2)
		for _, s := range []*reachability.State{state, calm} {
			s.SetApp(apps[i], app, start)
		}
	}
	changed := clusterReports(size, func(_ int, report *v1alpha1.NodeReachability) { refuses(report) })
	var group sync.WaitGroup
	for _, app := range apps {
		group.Go(func() {
			for range 20 {
				verdict.Append(nil, state, app, later)
			}
		})
	}
	for _, report := range changed {
		_, err := state.Report(report, later)
		g.Expect(err).NotTo(HaveOccurred())
	}
	group.Wait()
	g.Expect(state.Wrong()).To(BeEmpty())
	for _, app := range apps {
		verdict.Append(nil, state, app, later)
		after, _ := verdict.Append(nil, state, app, later)
		expected, _ := verdict.Append(nil, calm, app, later)
		g.Expect(after).To(Equal(expected))
	}
}
