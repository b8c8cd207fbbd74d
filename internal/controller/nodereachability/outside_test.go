package nodereachability_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
	"github.com/exposedapp/exposedapp/test/gen"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func nodesOf(n int) []corev1.Node {
	nodes := make([]corev1.Node, 0, n)
	for i, name := range names("node-%04d", n) {
		nodes = append(nodes, *gen.Node(name, fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)))
	}
	return nodes
}

func dialled(spec v1alpha1.NodeReachabilitySpec) []string {
	names := make([]string, 0, len(spec.Targets))
	for _, target := range spec.Targets {
		names = append(names, target.Node)
	}
	return names
}

func TestOutsideSpecOfFewNodes(t *testing.T) {
	g := NewWithT(t)
	spec, until := nodereachability.OutsideSpec("outside", []corev1.Node{
		*gen.Node("b", "10.0.0.2"), *gen.Node("a", "fd00::1", "10.0.0.1"), *gen.Node("c"),
	}, 0, noon)
	g.Expect(until).To(BeZero())
	g.Expect(spec).To(Equal(v1alpha1.NodeReachabilitySpec{
		HeartbeatSeconds: 10,
		ClusterSize:      16,
		Targets: []v1alpha1.Target{
			{Node: "a", Addresses: []string{"10.0.0.1", "fd00::1"}, Turn: 1},
			{Node: "b", Addresses: []string{"10.0.0.2"}, Turn: 1},
			{Node: "c", Turn: 1},
		},
	}))
}

// TestOutsideSpecOfAllNodesStands: up to 64 nodes the time changes nothing.
func TestOutsideSpecOfAllNodesStands(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			g := NewWithT(t)
			spec, until := nodereachability.OutsideSpec("outside", nodesOf(n), 0, noon)
			g.Expect(until).To(BeZero())
			g.Expect(dialled(spec)).To(Equal(names("node-%04d", n)))
			later, _ := nodereachability.OutsideSpec("outside", nodesOf(n), spec.ClusterSize, noon.Add(7*time.Hour))
			g.Expect(later).To(Equal(spec))
		})
	}
}

// TestOutsideSpecTakesTurns: on larger clusters each node is dialled in a round, and
// nothing but the time decides when.
func TestOutsideSpecTakesTurns(t *testing.T) {
	for n, want := range map[int]struct {
		turn  time.Duration
		parts int
	}{
		65:   {5 * time.Minute, 2},
		128:  {5 * time.Minute, 2},
		200:  {5 * time.Minute, 4},
		5000: {15 * time.Minute, 79},
	} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			g := NewWithT(t)
			nodes, seen, now := nodesOf(n), map[string]bool{}, noon
			for range want.parts {
				spec, until := nodereachability.OutsideSpec("outside", nodes, 0, now)
				g.Expect(until).To(And(BeTemporally(">", now), BeTemporally("<=", now.Add(want.turn))))
				g.Expect(dialled(spec)).To(HaveLen(64))
				restarted, still := nodereachability.OutsideSpec("outside", nodes, spec.ClusterSize, until.Add(-time.Nanosecond))
				g.Expect(restarted).To(Equal(spec), "an operator that starts anew writes nothing")
				g.Expect(still).To(BeTemporally("==", until))
				for _, name := range dialled(spec) {
					seen[name] = true
				}
				next, _ := nodereachability.OutsideSpec("outside", nodes, spec.ClusterSize, until)
				g.Expect(dialled(next)).NotTo(Equal(dialled(spec)))
				now = until
			}
			g.Expect(seen).To(HaveLen(n), "every node had its turn")
		})
	}
}

// TestOutsidersTurn: an observer from outside dials halfway between two of those on
// nodes, where turns are fine enough.
func TestOutsidersTurn(t *testing.T) {
	for _, n := range []int{40, 64, 500} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			g := NewWithT(t)
			spec, _ := nodereachability.OutsideSpec("outside", nodesOf(n), 0, noon)
			others := float64(len(spec.Targets) - 1)
			for _, target := range spec.Targets {
				g.Expect(float64(target.Turn) / others).To(BeNumerically("~", 1.0/nodereachability.Observers/2, 0.3/nodereachability.Observers))
			}
		})
	}
}
