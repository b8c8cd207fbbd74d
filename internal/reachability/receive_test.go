package reachability_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// heardOf returns the state of node a and how many observers tell of it, as a matrix has
// them at a time.
func heardOf(matrix *reachability.Matrix, at time.Time) (v1alpha1.NodeState, string) {
	verdicts, _ := matrix.AppendVerdicts(nil, web, at)
	return verdicts[0].State, verdicts[0].Observers
}

func TestReceive(t *testing.T) {
	// received returns a matrix that has received a report from b, and what the cache then
	// has.
	received := func(report *v1alpha1.NodeReachability) (*reachability.Matrix, *v1alpha1.NodeReachability) {
		matrix := reachability.NewMatrix()
		matrix.Know([]reachability.Node{node("a"), node("b")})
		matrix.Observe(web, webApp(), start)
		matrix.Receive(report)
		return matrix, report
	}
	report := func(g Gomega, matrix *reachability.Matrix, cached *v1alpha1.NodeReachability, at time.Time) (
		touched []types.NamespacedName,
	) {
		touched, err := matrix.Report(cached, at)
		g.Expect(err).NotTo(HaveOccurred())
		return touched
	}

	t.Run("what was received counts when it is reported, and not before", func(t *testing.T) {
		g := NewWithT(t)
		matrix, cached := received(fails("b", v1alpha1.ReasonTimeout))
		_, observers := heardOf(matrix, later)
		g.Expect(observers).To(BeEmpty())
		g.Expect(report(g, matrix, cached, later)).To(ConsistOf(web))
		state, observers := heardOf(matrix, later)
		g.Expect(state).To(Equal(v1alpha1.NodeUnreachable))
		g.Expect(observers).To(Equal("0/1"))
	})
	t.Run("the cache keeps what others use", func(t *testing.T) {
		g := NewWithT(t)
		_, cached := received(with(fails("b", v1alpha1.ReasonTimeout), func(r *v1alpha1.NodeReachability) {
			r.Status.Probes = &v1alpha1.ProbeStatistics{StartTime: metav1.NewTime(start)}
		}))
		g.Expect(cached.Status).To(Equal(v1alpha1.NodeReachabilityStatus{
			RenewTime: answers("b").Status.RenewTime, Probes: &v1alpha1.ProbeStatistics{StartTime: metav1.NewTime(start)},
		}))
		g.Expect(cached.Spec).To(Equal(answers("b").Spec))
	})
	t.Run("an informer may receive it twice", func(t *testing.T) {
		g := NewWithT(t)
		matrix, cached := received(answers("b"))
		matrix.Receive(cached)
		report(g, matrix, cached, later)
		state, observers := heardOf(matrix, later)
		g.Expect(state).To(Equal(v1alpha1.NodeReachable))
		g.Expect(observers).To(Equal("1/1"))
	})
	t.Run("what an informer hands over again says nothing new", func(t *testing.T) {
		g := NewWithT(t)
		first := answers("b")
		first.ResourceVersion = "7"
		matrix, cached := received(first)
		report(g, matrix, cached, later)
		g.Expect(report(g, matrix, cached, later.Add(time.Second))).To(BeEmpty())
		state, observers := heardOf(matrix, later.Add(time.Second))
		g.Expect(state).To(Equal(v1alpha1.NodeReachable))
		g.Expect(observers).To(Equal("1/1"))
	})
	t.Run("why one cannot be read is told when it is reported", func(t *testing.T) {
		g := NewWithT(t)
		matrix, cached := received(with(answers("b"), ports("31000-")))
		_, err := matrix.Report(cached, later)
		g.Expect(err).To(MatchError(ContainSubstring("status.nodePorts")))
		_, observers := heardOf(matrix, later)
		g.Expect(observers).To(BeEmpty())
	})
	t.Run("what came with the news of its end is forgotten", func(t *testing.T) {
		g := NewWithT(t)
		matrix, cached := received(answers("b"))
		matrix.Discard(cached)
		report(g, matrix, cached, later)
		_, observers := heardOf(matrix, later)
		g.Expect(observers).To(BeEmpty())
	})
}
