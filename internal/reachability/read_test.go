package reachability_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
)

// heardOf returns the state of node a and how many observers tell of it, as a reported has
// them at a time.
func heardOf(reported *reachability.State, at time.Time) (v1alpha1.NodeState, string) {
	verdicts, _ := verdict.Append(nil, reported, web, at)
	return verdicts[0].State, verdicts[0].Observers
}

func TestRead(t *testing.T) {
	known := func() *reachability.State {
		reported := reachability.NewState()
		reported.SetNodes([]reachability.Node{node("a"), node("b")})
		reported.SetApp(web, webApp(), start)
		return reported
	}

	t.Run("what was read counts when it is folded in", func(t *testing.T) {
		g := NewWithT(t)
		reported, report := known(), reachability.Read(fails("b", v1alpha1.ReasonTimeout))
		g.Expect(report.Err()).NotTo(HaveOccurred())
		_, observers := heardOf(reported, later)
		g.Expect(observers).To(BeEmpty())
		g.Expect(reported.Fold(report, later)).To(ConsistOf(web))
		state, observers := heardOf(reported, later)
		g.Expect(state).To(Equal(v1alpha1.NodeUnreachable))
		g.Expect(observers).To(Equal("0/1"))
	})
	t.Run("what others use is kept", func(t *testing.T) {
		g := NewWithT(t)
		probes := &v1alpha1.ProbeStatistics{StartTime: metav1.NewTime(start)}
		reported := known()
		reported.Fold(reachability.Read(with(fails("b", v1alpha1.ReasonTimeout), func(r *v1alpha1.NodeReachability) {
			r.Status.Probes = probes
		})), later)
		g.Expect(reported.Reports()).To(HaveExactElements(BeIdenticalTo(reported.ReportOf("b"))))
		g.Expect(reported.ReportOf("b").Status).To(Equal(v1alpha1.NodeReachabilityStatus{
			RenewTime: answers("b").Status.RenewTime, Probes: probes,
		}))
		g.Expect(reported.ReportOf("b").Spec).To(Equal(answers("b").Spec))
		g.Expect(reported.ReportOf("a")).To(BeNil())
	})
	t.Run("what is listed again says nothing new", func(t *testing.T) {
		g := NewWithT(t)
		report := func() *reachability.Report {
			again := answers("b")
			again.ResourceVersion = "7"
			return reachability.Read(again)
		}
		reported := known()
		reported.Fold(report(), later)
		g.Expect(reported.Fold(report(), later.Add(time.Second))).To(BeEmpty())
		state, observers := heardOf(reported, later.Add(time.Second))
		g.Expect(state).To(Equal(v1alpha1.NodeReachable))
		g.Expect(observers).To(Equal("1/1"))
		g.Expect(reported.Due(later.Add(time.Hour))).NotTo(BeZero(), "nor does it make the report any younger")
	})
	t.Run("one that cannot be read says nothing", func(t *testing.T) {
		g := NewWithT(t)
		reported := known()
		reported.Fold(reachability.Read(answers("b")), later)
		unreadable := reachability.Read(with(answers("b"), ports("31000-")))
		g.Expect(unreadable.Err()).To(MatchError(ContainSubstring("status.nodePorts")))
		g.Expect(reported.Fold(unreadable, later)).To(ConsistOf(web))
		_, observers := heardOf(reported, later)
		g.Expect(observers).To(BeEmpty())
	})
}
