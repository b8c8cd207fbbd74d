package nodereachability_test

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestSpecs(t *testing.T) {
	g := NewWithT(t)
	specs := nodereachability.Specs([]corev1.Node{
		*gen.Node("c"), *gen.Node("a", "fd00::1", "10.0.0.1"), *gen.Node("b", "10.0.0.2", "127.0.0.1"),
	}, 0)
	want := v1alpha1.NodeReachabilitySpec{
		HeartbeatSeconds: 10,
		ClusterSize:      16,
		Targets: []v1alpha1.Target{
			{Node: "a", Addresses: []string{"10.0.0.1", "fd00::1"}},
			{Node: "b", Addresses: []string{"10.0.0.2"}},
			{Node: "c"},
		},
	}
	turns := make(map[string][]int32)
	for _, spec := range specs {
		for i := range spec.Targets {
			turns[spec.Targets[i].Node] = append(turns[spec.Targets[i].Node], spec.Targets[i].Turn)
			spec.Targets[i].Turn = 0
		}
	}
	g.Expect(specs).To(Equal(map[string]v1alpha1.NodeReachabilitySpec{"a": want, "b": want, "c": want}),
		"three nodes dial each other and themselves")
	g.Expect(turns).To(HaveLen(3))
	g.Expect(turns).To(HaveEach(ConsistOf(BeEquivalentTo(0), BeEquivalentTo(1), BeEquivalentTo(2))), "and take turns")
}

func TestSpecsOfManyNodes(t *testing.T) {
	tests := map[int]struct{ heartbeat, targets int }{
		0:     {},
		1:     {heartbeat: 10, targets: 1},
		3:     {heartbeat: 10, targets: 3},
		9:     {heartbeat: 10, targets: 9},
		10:    {heartbeat: 10, targets: 9},
		166:   {heartbeat: 10, targets: 9},
		1000:  {heartbeat: 62, targets: 9},
		5000:  {heartbeat: 300, targets: 9},
		10000: {heartbeat: 300, targets: 9},
	}
	for n, want := range tests {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			g := NewWithT(t)
			nodes := make([]corev1.Node, 0, n)
			for _, name := range names("node-%d", n) {
				nodes = append(nodes, *gen.Node(name))
			}
			specs := nodereachability.Specs(nodes, 0)
			g.Expect(specs).To(HaveLen(n))
			turns := make(map[string]map[int32]bool)
			for name, spec := range specs {
				g.Expect(spec.HeartbeatSeconds).To(BeEquivalentTo(want.heartbeat))
				g.Expect(spec.Targets).To(HaveLen(want.targets))
				self := 0
				for _, target := range spec.Targets {
					if target.Node == name {
						self++
						g.Expect(target.Turn).To(BeZero())
					}
					if turns[target.Node] == nil {
						turns[target.Node] = make(map[int32]bool)
					}
					turns[target.Node][target.Turn] = true
				}
				g.Expect(self).To(Equal(1), "a node dials itself, for diagnosis")
			}
			for node, taken := range turns {
				g.Expect(taken).To(HaveLen(want.targets), "no two observers of %s have the same turn", node)
			}
		})
	}
}
