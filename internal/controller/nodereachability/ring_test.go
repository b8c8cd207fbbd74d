package nodereachability_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
)

func TestRingIsAFullMeshOfFewNodes(t *testing.T) {
	for n := range nodereachability.Observers + 2 {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			g := NewWithT(t)
			all := names("node-%d", n)
			ring := nodereachability.Ring(all)
			g.Expect(ring).To(HaveLen(n))
			for _, name := range all {
				g.Expect(ring[name]).To(ConsistOf(others(all, name)), name)
			}
		})
	}
}

func TestRingGivesEveryNodeTheSameLoad(t *testing.T) {
	for _, n := range []int{10, 100, 5000} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			g := NewWithT(t)
			observers := make(map[string]int, n)
			for name, dials := range nodereachability.Ring(names("node-%d", n)) {
				g.Expect(dials).To(HaveLen(nodereachability.Observers), name)
				g.Expect(dials).NotTo(ContainElement(name))
				g.Expect(slices.Compact(slices.Sorted(slices.Values(dials)))).To(HaveLen(nodereachability.Observers), name)
				for _, dialled := range dials {
					observers[dialled]++
				}
			}
			g.Expect(observers).To(HaveLen(n))
			g.Expect(observers).To(HaveEach(nodereachability.Observers))
		})
	}
}

// A node that comes or goes has its own list, and is on those of its observers.
func TestRingChangesFewListsWithANode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 8, 9, 10, 11, 100} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			g := NewWithT(t)
			all := names("node-%d", n)
			before := nodereachability.Ring(all)
			for range 100 {
				name := fmt.Sprintf("node-%x", random.Uint64())
				after := nodereachability.Ring(append(slices.Clone(all), name))
				changed := 1
				for _, other := range all {
					if !slices.Equal(before[other], after[other]) {
						changed++
						g.Expect(after[other]).To(ContainElement(name))
					}
				}
				g.Expect(changed).To(BeNumerically("<=", nodereachability.Observers+1), name)
			}
		})
	}
}

func TestRingDoesNotDependOnTheOrderOfNodes(t *testing.T) {
	g := NewWithT(t)
	all := names("node-%d", 50)
	want := nodereachability.Ring(all)
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		g.Expect(nodereachability.Ring(all)).To(Equal(want))
	}
}

// Nodes with neighbouring names often share a rack or a zone: none may be
// observed mostly from there.
func TestRingSpreadsNeighboursByName(t *testing.T) {
	const racks, perRack = 10, 10
	for _, format := range []string{
		"rack%d-node%d", "ip-10-0-%d-%d.eu-west-1.compute.internal", "worker-%d%d", "node-%03d-%03d",
	} {
		t.Run(format, func(t *testing.T) {
			g := NewWithT(t)
			rackOf := make(map[string]int, racks*perRack)
			var all []string
			for rack := range racks {
				for node := range perRack {
					name := fmt.Sprintf(format, rack, node)
					all, rackOf[name] = append(all, name), rack
				}
			}
			same := 0
			for name, dials := range nodereachability.Ring(all) {
				mates := 0
				for _, dialled := range dials {
					if rackOf[dialled] == rackOf[name] {
						mates++
					}
				}
				same += mates
				g.Expect(mates).To(BeNumerically("<=", nodereachability.Observers/2), name)
			}
			// By chance it is 9 in 99.
			g.Expect(same).To(BeNumerically("<", len(all)*nodereachability.Observers*15/100))
		})
	}
}

func names(format string, n int) []string {
	names := make([]string, 0, n)
	for i := range n {
		names = append(names, fmt.Sprintf(format, i))
	}
	return names
}

func others(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(other string) bool { return other == name })
}
