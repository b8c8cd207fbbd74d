package reachability_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// heardOf returns the state of node a and how many observers tell of it, as a matrix has
// them at a time.
func heardOf(matrix *reachability.Matrix, at time.Time) (v1alpha1.NodeState, string) {
	verdicts, _ := matrix.AppendVerdicts(nil, web, at)
	return verdicts[0].State, verdicts[0].Observers
}

func TestRead(t *testing.T) {
	known := func() *reachability.Matrix {
		matrix := reachability.NewMatrix()
		matrix.Know([]reachability.Node{node("a"), node("b")})
		matrix.Observe(web, webApp(), start)
		return matrix
	}

	t.Run("what was read counts when it is folded in", func(t *testing.T) {
		g := NewWithT(t)
		matrix, report := known(), reachability.Read(fails("b", v1alpha1.ReasonTimeout))
		g.Expect(report.Err()).NotTo(HaveOccurred())
		_, observers := heardOf(matrix, later)
		g.Expect(observers).To(BeEmpty())
		g.Expect(matrix.Fold(report, later)).To(ConsistOf(web))
		state, observers := heardOf(matrix, later)
		g.Expect(state).To(Equal(v1alpha1.NodeUnreachable))
		g.Expect(observers).To(Equal("0/1"))
	})
	t.Run("what others use is kept", func(t *testing.T) {
		g := NewWithT(t)
		probes := &v1alpha1.ProbeStatistics{StartTime: metav1.NewTime(start)}
		matrix := known()
		matrix.Fold(reachability.Read(with(fails("b", v1alpha1.ReasonTimeout), func(r *v1alpha1.NodeReachability) {
			r.Status.Probes = probes
		})), later)
		g.Expect(matrix.Reports()).To(HaveExactElements(BeIdenticalTo(matrix.ReportOf("b"))))
		g.Expect(matrix.ReportOf("b").Status).To(Equal(v1alpha1.NodeReachabilityStatus{
			RenewTime: answers("b").Status.RenewTime, Probes: probes,
		}))
		g.Expect(matrix.ReportOf("b").Spec).To(Equal(answers("b").Spec))
		g.Expect(matrix.ReportOf("a")).To(BeNil())
	})
	t.Run("what is listed again says nothing new", func(t *testing.T) {
		g := NewWithT(t)
		report := func() *reachability.Report {
			again := answers("b")
			again.ResourceVersion = "7"
			return reachability.Read(again)
		}
		matrix := known()
		matrix.Fold(report(), later)
		g.Expect(matrix.Fold(report(), later.Add(time.Second))).To(BeEmpty())
		state, observers := heardOf(matrix, later.Add(time.Second))
		g.Expect(state).To(Equal(v1alpha1.NodeReachable))
		g.Expect(observers).To(Equal("1/1"))
		g.Expect(matrix.Due(later.Add(time.Hour))).NotTo(BeZero(), "nor does it make the report any younger")
	})
	t.Run("one that cannot be read says nothing", func(t *testing.T) {
		g := NewWithT(t)
		matrix := known()
		matrix.Fold(reachability.Read(answers("b")), later)
		unreadable := reachability.Read(with(answers("b"), ports("31000-")))
		g.Expect(unreadable.Err()).To(MatchError(ContainSubstring("status.nodePorts")))
		g.Expect(matrix.Fold(unreadable, later)).To(ConsistOf(web))
		_, observers := heardOf(matrix, later)
		g.Expect(observers).To(BeEmpty())
	})
}
