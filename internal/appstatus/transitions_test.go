package appstatus

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestNodeTransitions(t *testing.T) {
	down := func(node string) string {
		return "Warning ReachIPv4 Timeout: node " + node + " (IPv4 ) does not answer: b, c (Timeout: i/o timeout)"
	}
	up := func(node string) string {
		return "Normal ReachIPv4 Reachable: node " + node + " (IPv4 ) answers again"
	}
	tests := map[string]struct {
		before, after *v1alpha1.ExposedAppStatus
		want          []string
	}{
		"a node falls silent, another comes back": {
			before: listing(gen.Reachable("a"), gen.Unreachable("b"), gen.Reachable("c")),
			after:  listing(gen.Unreachable("a"), gen.Reachable("b"), gen.Reachable("c")),
			want:   []string{down("a"), up("b")},
		},
		"it does so in one family": {
			before: listing(overIPv6(gen.Reachable("a")), gen.Reachable("a")),
			after:  listing(overIPv6(gen.Unreachable("a")), gen.Reachable("a")),
			want:   []string{"Warning ReachIPv6 Timeout: node a (IPv6 fd00::1) does not answer: b, c (Timeout: i/o timeout)"},
		},
		"nothing changes":                           {before: listing(gen.Unreachable("a")), after: listing(gen.Unreachable("a"))},
		"the cause changes":                         {before: listing(gen.Unreachable("a")), after: listing(withReason(gen.Unreachable("a"), "ConnectionRefused"))},
		"nodes answer for the first time":           {before: listing(), after: listing(gen.Reachable("a"), gen.Reachable("b"))},
		"there is a first word, and it is good":     {before: listing(gen.Unknown("a", "Pending")), after: listing(gen.Reachable("a"))},
		"there is a first word, and it is bad":      {before: listing(gen.Unknown("a", "Pending")), after: listing(gen.Unreachable("a")), want: []string{down("a")}},
		"a new node does not answer":                {before: listing(gen.Reachable("b")), after: listing(gen.Unreachable("a"), gen.Reachable("b")), want: []string{down("a")}},
		"nobody tells any more":                     {before: listing(gen.Reachable("a")), after: listing(gen.Unknown("a", "NoObserver"))},
		"a node that is not expected to goes":       {before: listing(gen.Excused(gen.Reachable("a"))), after: listing(gen.Excused(gen.Unreachable("a")))},
		"a node is not expected to any more":        {before: listing(gen.Unreachable("a")), after: listing(gen.Excused(gen.Unreachable("a")))},
		"a node is gone":                            {before: listing(gen.Unreachable("a")), after: listing()},
		"no pod is ready, which is no node's fault": {before: listing(gen.Reachable("a")), after: listing(withReason(gen.Unreachable("a"), "NoReadyEndpoints"))},
		"pods are ready again":                      {before: listing(withReason(gen.Unreachable("a"), "NoReadyEndpoints")), after: listing(gen.Reachable("a"))},
		"pods are ready, and the node does not answer": {
			before: listing(withReason(gen.Unreachable("a"), "NoReadyEndpoints")), after: listing(gen.Unreachable("a")), want: []string{down("a")},
		},
		"it answers all but a suspect": {
			before: listing(gen.Unreachable("a")), after: listing(withReason(gen.Reachable("a"), "SuspectObserver")),
			want: []string{"Normal ReachIPv4 SuspectObserver: node a (IPv4 ) answers again"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(described(nodeTransitions(test.before, test.after))).To(Equal(test.want))
		})
	}
}

// TestManyNodeTransitions: a handful are told one by one, the worse first.
func TestManyNodeTransitions(t *testing.T) {
	g := NewWithT(t)
	var healthy, silent []v1alpha1.NodeVerdict
	for i := range maxNodes {
		node := fmt.Sprintf("node-%02d", i)
		healthy, silent = append(healthy, gen.Reachable(node)), append(silent, gen.Unreachable(node))
	}
	g.Expect(nodeTransitions(listing(healthy[:5]...), listing(silent[:5]...))).To(HaveLen(5))

	after := listing(silent...)
	after.Reachability.Summary = "0/24"
	told := described(nodeTransitions(listing(healthy...), after))
	g.Expect(told).To(HaveLen(6))
	g.Expect(told[4]).To(HavePrefix("Warning ReachIPv4 Timeout: node node-04 "))
	g.Expect(told[5]).To(Equal("Warning Reach NodesUnreachable: " +
		"19 more nodes do not answer and 0 more answer again; 0/24 of the expected nodes answer"))

	before := listing(append(silent[:20:20], healthy[20:]...)...)
	after = listing(append(healthy[:20:20], silent[20:]...)...)
	after.Reachability.Summary = "20/24"
	told = described(nodeTransitions(before, after))
	g.Expect(told[:4]).To(HaveEach(HavePrefix("Warning ")))
	g.Expect(told[4]).To(HavePrefix("Normal ReachIPv4 Reachable: node node-00 "))
	g.Expect(told[5]).To(Equal("Normal Reach Reachable: " +
		"0 more nodes do not answer and 19 more answer again; 20/24 of the expected nodes answer"))
	g.Expect(told).To(HaveLen(6))
}

// TestNodeTransitionsBeyondTheList: a row that comes into a list which was full
// of unreachable nodes may be none that changed.
func TestNodeTransitionsBeyondTheList(t *testing.T) {
	g := NewWithT(t)
	full := listing(gen.Unreachable("a"), gen.Unreachable("b"))
	full.Reachability.Expected, full.Reachability.Reachable = 4002, 3999
	g.Expect(nodeTransitions(full, listing(gen.Unreachable("b"), gen.Unreachable("c")))).To(BeEmpty())

	roomy := listing(gen.Unreachable("b"))
	roomy.Reachability.Expected, roomy.Reachability.Reachable = 4001, 4000
	g.Expect(described(nodeTransitions(roomy, listing(gen.Unreachable("b"), gen.Unreachable("c"))))).
		To(ConsistOf(ContainSubstring("node c (IPv4 ) does not answer")))

	well := listing()
	well.Reachability.Expected, well.Reachability.Reachable = 4001, 4001
	g.Expect(described(nodeTransitions(well, listing(gen.Unreachable("c"))))).
		To(ConsistOf(ContainSubstring("node c (IPv4 ) does not answer")))
}

func TestConditionTransitions(t *testing.T) {
	g := NewWithT(t)
	conditions := func(conditions ...metav1.Condition) *v1alpha1.ExposedAppStatus {
		return &v1alpha1.ExposedAppStatus{Conditions: conditions}
	}
	ready := metav1.Condition{Type: "Ready", Status: "True", Reason: "Ready", Message: "3/3"}
	refused := metav1.Condition{Type: "Ready", Status: "False", Reason: "PortConflict", Message: "held"}
	stalled := metav1.Condition{Type: "Stalled", Status: "True", Reason: "PortConflict", Message: "edit it"}
	other := metav1.Condition{Type: "Ready", Status: "False", Reason: "NameConflict", Message: "taken"}
	reworded := ready
	reworded.Message = "4/4"

	g.Expect(described(conditionTransitions(conditions(), conditions(ready)))).To(Equal([]string{"Normal Ready Ready: 3/3"}))
	g.Expect(conditionTransitions(conditions(ready), conditions(reworded))).To(BeEmpty())
	g.Expect(described(conditionTransitions(conditions(ready), conditions(refused, stalled)))).To(Equal([]string{
		"Warning Ready PortConflict: held", "Warning Stalled PortConflict: edit it",
	}))
	g.Expect(described(conditionTransitions(conditions(refused), conditions(other)))).
		To(Equal([]string{"Warning Ready NameConflict: taken"}))
	g.Expect(described(conditionTransitions(conditions(refused, stalled), conditions(ready)))).
		To(Equal([]string{"Normal Ready Ready: 3/3"}))

	rollingOut := metav1.Condition{Type: "Reconciling", Status: "True", Reason: "RolloutInProgress", Message: "1 of 3"}
	held := metav1.Condition{Type: "PortAllocated", Status: "True", Reason: "Allocated", Message: "31000"}
	notYet := metav1.Condition{Type: "Ready", Status: "False", Reason: "RolloutInProgress", Message: "1 of 3"}
	g.Expect(described(conditionTransitions(conditions(), conditions(notYet, held, rollingOut)))).
		To(Equal([]string{"Normal PortAllocated Allocated: 31000"}), "what a new app does not have yet is no news")
	g.Expect(described(conditionTransitions(conditions(ready), conditions(notYet, rollingOut)))).To(Equal([]string{
		"Warning Ready RolloutInProgress: 1 of 3", "Normal Reconciling RolloutInProgress: 1 of 3",
	}), "what another one has no more is")
	retried := metav1.Condition{Type: "Reconciling", Status: "True", Reason: "PortConflict", Message: "leaving"}
	g.Expect(described(conditionTransitions(conditions(), conditions(refused, retried)))).To(Equal([]string{
		"Warning Ready PortConflict: held", "Normal Reconciling PortConflict: leaving",
	}), "nor is a new app that something holds back on its way")
}

// listing is a status that lists verdicts.
func listing(verdicts ...v1alpha1.NodeVerdict) *v1alpha1.ExposedAppStatus {
	return &v1alpha1.ExposedAppStatus{Reachability: &v1alpha1.ReachabilitySummary{}, Nodes: verdicts}
}

func overIPv6(verdict v1alpha1.NodeVerdict) v1alpha1.NodeVerdict {
	verdict.Family, verdict.Address = corev1.IPv6Protocol, "fd00::1"
	return verdict
}

func withReason(verdict v1alpha1.NodeVerdict, reason string) v1alpha1.NodeVerdict {
	verdict.Reason = reason
	return verdict
}

func described(transitions []Transition) []string {
	var texts []string
	for _, t := range transitions {
		texts = append(texts, t.Kind+" "+t.Action+" "+t.Reason+": "+t.Note)
	}
	return texts
}
