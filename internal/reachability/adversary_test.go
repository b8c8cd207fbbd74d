package reachability_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
)

// One observer of a cluster is taken over and reports what it likes; all others tell the
// truth. Whatever the one says, it may only ever count for what it was given to dial, and
// against a majority for nothing.

// pair is what an observer has a word on.
type pair struct {
	node int
	port int32
}

// world is what is true of a cluster.
type world struct {
	size int
	// down is the node that answers only itself, -1 for none.
	down int
	// cutOff are so many nodes from the first of them on that reach only themselves.
	first, cutOff int
	// liar is the node that lies. One beyond the last is out of the cluster.
	liar int
}

func (w *world) abroad(observer int) bool { return observer == w.size }

// answers reports whether a node answers an observer on another, or on itself.
func (w *world) answers(node, observer int) bool {
	return node == observer || node != w.down && (observer-w.first+w.size)%w.size >= w.cutOff
}

// arena is such a cluster, and what is made of it.
type arena struct {
	world
	t        *rapid.T
	reported *reachability.State
	now      time.Time
	// asked are the requests that stand beside the reports.
	asked map[string]*v1alpha1.Recheck
	// lies is what the liar said last, nil for nothing that counts.
	lies map[pair]string
	// round is the highest that anybody but the liar was asked.
	round int64
}

var arenaPorts = []int32{31000, 31001}

func arenaNode(i int) string { return fmt.Sprintf("n%02d", i) }

func arenaAddress(i int) string { return netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String() }

func arenaApp(port int32) types.NamespacedName { return types.NamespacedName{Name: fmt.Sprint(port)} }

func newArena(t *rapid.T, w world) *arena {
	a := &arena{world: w, t: t, reported: reachability.NewState(), now: later, asked: map[string]*v1alpha1.Recheck{}}
	var nodes []reachability.Node
	for i := range a.size {
		nodes = append(nodes, reachability.Node{Name: arenaNode(i), Ready: true, Addresses: map[corev1.IPFamily]netip.Addr{
			corev1.IPv4Protocol: netip.MustParseAddr(arenaAddress(i)),
		}})
	}
	a.reported.SetNodes(nodes)
	for _, port := range arenaPorts {
		app := webApp()
		app.Service.NodePort, app.Service.UID = port, types.UID(fmt.Sprint(port))
		app.Endpoints = on(true, arenaNode(0))
		a.reported.SetApp(arenaApp(port), app, start)
	}
	return a
}

func (a *arena) name(i int) string {
	if a.abroad(i) {
		return "lab"
	}
	return arenaNode(i)
}

// given returns the nodes that an observer is to dial: itself and up to eight others.
func (a *arena) given(i int) (nodes []int) {
	if a.abroad(i) {
		for node := range min(a.size, 5) {
			nodes = append(nodes, node)
		}
		return nodes
	}
	for turn := range min(a.size, 9) {
		nodes = append(nodes, (i+turn)%a.size)
	}
	return nodes
}

// object returns an observer's report without what it says.
func (a *arena) object(i int) *v1alpha1.NodeReachability {
	report := &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: a.name(i)},
		Spec:       v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10, Recheck: a.asked[a.name(i)]},
		Status: v1alpha1.NodeReachabilityStatus{
			RenewTime: new(metav1.NewMicroTime(a.now)), ServicesResourceVersion: "100", NodePorts: "31000-31001",
		},
	}
	if a.abroad(i) {
		report.Labels = map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
	}
	for _, node := range a.given(i) {
		report.Spec.Targets = append(report.Spec.Targets, v1alpha1.Target{
			Node: arenaNode(node), Addresses: []string{arenaAddress(node)},
		})
	}
	return report
}

// truth is what an honest observer reports.
func (a *arena) truth(i int) *v1alpha1.NodeReachability {
	report := a.object(i)
	failure := v1alpha1.ProbeFailure{Reason: "Timeout", Message: "i/o timeout", NodePorts: "31000-31001"}
	for _, node := range a.given(i) {
		report.Status.Addresses = append(report.Status.Addresses, arenaAddress(node))
		if !a.answers(node, i) {
			failure.Addresses = append(failure.Addresses, arenaAddress(node))
		}
	}
	if len(failure.Addresses) > 0 {
		report.Status.Failures = []v1alpha1.ProbeFailure{failure}
	}
	if report.Spec.Recheck != nil {
		report.Status.RecheckRound = report.Spec.Recheck.Round
	}
	return report
}

// lie is what the liar reports: of any node, in any words.
func (a *arena) lie(round int) *v1alpha1.NodeReachability {
	draw := func(name string, from ...string) string {
		return rapid.SampledFrom(from).Draw(a.t, fmt.Sprintf("%s %d", name, round))
	}
	report := a.object(a.liar)
	a.lies = map[pair]string{}
	report.Status.NodePorts = draw("ports", "31000-31001", "31000", "31001", "1-65535", "")
	report.Status.ServicesResourceVersion = draw("version", "100", "100", "99", "1000", "new")
	report.Status.RecheckRound = rapid.SampledFrom([]int64{0, 1, a.now.UnixMilli(), 1 << 60, math.MaxInt64}).
		Draw(a.t, fmt.Sprintf("round %d", round))
	report.Status.RenewTime.Time = a.now.Add(time.Duration(rapid.Int64Range(-40, 40).Draw(a.t, fmt.Sprintf("age %d", round))) * time.Second)
	mood := draw("mood", "mixed", "yes", "no", "translated")
	for node := range a.size + 1 {
		report.Status.Addresses = append(report.Status.Addresses, arenaAddress(node))
		for _, port := range arenaPorts {
			word := mood
			if mood == "mixed" {
				word = rapid.SampledFrom([]string{"yes", "no", "none", "translated", "own"}).Draw(a.t, fmt.Sprintf("%d:%d in %d", node, port, round))
			}
			a.lies[pair{node, port}] = word
			a.say(report, word, port, arenaAddress(node))
		}
	}
	return report
}

func (a *arena) say(report *v1alpha1.NodeReachability, word string, port int32, address string) {
	ports, addresses := fmt.Sprint(port), []string{address}
	status := &report.Status
	switch word {
	case "no":
		status.Failures = append(status.Failures, v1alpha1.ProbeFailure{Reason: "ConnectionRefused", NodePorts: ports, Addresses: addresses})
	case "none":
		status.Pending = append(status.Pending, v1alpha1.PendingProbes{NodePorts: ports, Addresses: addresses})
	case "translated":
		status.Pending = append(status.Pending, v1alpha1.PendingProbes{
			Reason: v1alpha1.ReasonTranslatedAtSource, TranslatedTo: backend, NodePorts: ports, Addresses: addresses,
		})
	case "own":
		status.Pending = append(status.Pending, v1alpha1.PendingProbes{
			Reason: v1alpha1.PendingOwnAddress, NodePorts: ports, Addresses: addresses,
		})
	}
}

// turn has everybody report once, and every app be judged.
func (a *arena) turn(lie *v1alpha1.NodeReachability) {
	for i := range a.size {
		if i != a.liar {
			a.fold(a.truth(i))
		}
	}
	if lie != nil {
		a.fold(lie)
	}
	a.judge()
	for observer, request := range a.reported.Requests() {
		a.asked[observer] = new(request)
		if observer != a.name(a.liar) {
			a.round = max(a.round, request.Round)
		}
	}
	a.now = a.now.Add(4 * time.Second)
}

func (a *arena) fold(report *v1alpha1.NodeReachability) {
	if _, err := a.reported.Report(report, a.now); err != nil {
		a.t.Fatal(err)
	}
}

// judge returns the verdicts on all apps.
func (a *arena) judge() (verdicts []v1alpha1.NodeVerdict) {
	for _, port := range arenaPorts {
		verdicts, _ = verdict.Append(verdicts, a.reported, arenaApp(port), a.now)
	}
	return verdicts
}

// most reports whether more than half of those that have a word on a node say that it
// answers, the node itself included if it says nothing else. A word of the liar may not count for many a
// reason; then it is as if it had none.
func (a *arena) most(on pair) bool {
	for _, word := range []string{"none", a.lies[on]} {
		yes, no := 0, 0
		for i := range a.size {
			said := "none"
			switch {
			case !slices.Contains(a.given(i), on.node):
			case i == a.liar && i == on.node && word != "no":
				// It says nothing against itself.
				said = "yes"
			case i == a.liar:
				said = word
			case a.answers(on.node, i):
				said = "yes"
			default:
				said = "no"
			}
			switch said {
			case "yes":
				yes++
			case "no":
				no++
			}
		}
		if yes > no {
			return true
		}
	}
	return false
}

// withLiar holds a property of clusters of all sizes, in which so many nodes of each hundred
// may be cut off.
func withLiar(t *testing.T, cutOff int, holds func(t *rapid.T, w world)) {
	for _, size := range []int{1, 2, 3, 9, 33} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				holds(t, world{
					size:   size,
					down:   rapid.IntRange(-1, size-1).Draw(t, "down"),
					first:  rapid.IntRange(0, size-1).Draw(t, "first"),
					cutOff: rapid.IntRange(0, size*cutOff/100).Draw(t, "cutOff"),
					liar:   rapid.IntRange(0, size).Draw(t, "liar"),
				})
			})
		})
	}
}

const turns = 4

func TestLiarCountsOnlyForWhatItWasGiven(t *testing.T) {
	withLiar(t, 0, func(t *rapid.T, w world) {
		g := NewWithT(t)
		lied, silent := newArena(t, w), newArena(t, w)
		given := lied.given(w.liar)
		for turn := range turns {
			lied.turn(lied.lie(turn))
			silent.turn(nil)
			with, without := lied.judge(), silent.judge()
			for i := range with {
				if node := i % w.size; !slices.Contains(given, node) {
					g.Expect(with[i]).To(Equal(without[i]))
				}
			}
		}
	})
}

func TestNoNodeIsReachableAgainstTheMajority(t *testing.T) {
	withLiar(t, 100, func(t *rapid.T, w world) {
		a := newArena(t, w)
		for turn := range turns {
			a.turn(a.lie(turn))
			for i, verdict := range a.judge() {
				on := pair{i % w.size, arenaPorts[i/w.size]}
				if verdict.State == v1alpha1.NodeReachable && verdict.Observers != "" && !a.most(on) {
					t.Fatalf("node %d is Reachable on %d by %s: %s %s", on.node, on.port, verdict.Observers, verdict.Reason, verdict.Message)
				}
			}
		}
	})
}

func TestLiarDoesNotSetTheRoundsOfOthers(t *testing.T) {
	withLiar(t, 100, func(t *rapid.T, w world) {
		a := newArena(t, w)
		for turn := range turns {
			a.turn(a.lie(turn))
		}
		if a.round > a.now.UnixMilli() {
			t.Fatalf("others are asked round %d, beyond the clock of the operator", a.round)
		}
	})
}

func TestLiarThatLeavesLeavesNothing(t *testing.T) {
	withLiar(t, 0, func(t *rapid.T, w world) {
		g := NewWithT(t)
		left, never := newArena(t, w), newArena(t, w)
		for turn := range turns {
			left.turn(left.lie(turn))
			never.turn(nil)
		}
		left.reported.Remove(left.name(w.liar))
		for range 2 {
			left.turn(nil)
			never.turn(nil)
		}
		g.Expect(left.judge()).To(Equal(never.judge()))
		g.Expect(left.reported.Requests()).To(Equal(never.reported.Requests()))
	})
}
