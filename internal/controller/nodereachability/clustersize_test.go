package nodereachability

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestClusterSizeIsLargeEnoughAndSeldomChanges(t *testing.T) {
	g := NewWithT(t)
	sizes, current := 0, int32(0)
	for nodes := range 5001 {
		next := clusterSize(nodes, current)
		g.Expect(int(next)).To(And(BeNumerically(">=", nodes), BeNumerically("<=", max(20, nodes*25/16))))
		if next != current {
			sizes++
		}
		current = next
	}
	g.Expect(sizes).To(BeNumerically("<", 30))
}

func TestClusterSizeDoesNotGoToAndFro(t *testing.T) {
	g := NewWithT(t)
	g.Expect(clusterSize(17, 16)).To(BeEquivalentTo(20))
	g.Expect(clusterSize(16, 20)).To(BeEquivalentTo(20), "one step too large is close enough")
	g.Expect(clusterSize(16, 25)).To(BeEquivalentTo(16), "two are not")
	g.Expect(clusterSize(16, 0)).To(BeEquivalentTo(16))
}
