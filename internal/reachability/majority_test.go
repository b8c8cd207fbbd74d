package reachability_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// roomOf is a room of so many nodes.
func roomOf(t *testing.T, names []string) *room {
	r := newRoom(t)
	r.nodes = nil
	for _, name := range names {
		r.nodes = append(r.nodes, node(name))
	}
	return r
}

// sees is the report of an observer that reaches all nodes but some.
func sees(observer string, all []string, but ...string) *v1alpha1.NodeReachability {
	report := answers(observer)
	report.Spec.Targets = targets(all...)
	report.Status.NodePorts, report.Status.Addresses = "31000", texts(all)
	if len(but) > 0 {
		report.Status.Failures = []v1alpha1.ProbeFailure{
			{Reason: "Timeout", Message: "raw error", NodePorts: "31000", Addresses: texts(but)},
		}
	}
	return report
}

func texts(nodes []string) (texts []string) {
	for _, node := range nodes {
		texts = append(texts, addressOf(node).String())
	}
	return texts
}

func others(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == one })
}

// confer has all observers report, and look again for as long as they are asked.
func (r *room) confer(says func(observer string) *v1alpha1.NodeReachability) {
	for range 4 {
		for i := range r.nodes {
			report := says(r.nodes[i].Name)
			if request, asked := r.reported.Requests()[report.Name]; asked {
				report.Spec.Recheck, report.Status.RecheckRound = &request, request.Round
			}
			r.hear(report)
		}
		r.now = r.now.Add(4 * time.Second)
	}
}

// Who is set aside is the exception. Where those that reach nobody are as many as those that
// reach anybody, the nodes are the problem.
func TestMajorityIsNotSetAside(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
	for name, test := range map[string]struct {
		size, seeing int
		node, want   string
	}{
		"control planes reach all, workers nobody":    {9, 3, "i", "Unreachable PartiallyReachable"},
		"one claims to reach all":                     {9, 1, "i", "Unreachable PartiallyReachable"},
		"one of four does":                            {4, 1, "d", "Unreachable PartiallyReachable"},
		"half of four do":                             {4, 2, "d", "Unreachable PartiallyReachable"},
		"one less than half does not":                 {9, 5, "a", "Reachable SuspectObserver"},
		"one of three does not":                       {3, 2, "a", "Reachable SuspectObserver"},
		"one of nine does not":                        {9, 8, "a", "Reachable SuspectObserver"},
		"nobody reaches anybody":                      {9, 0, "i", "Unreachable Timeout"},
		"everybody does":                              {9, 9, "a", "Reachable "},
		"one of three, with one more that is cut off": {3, 1, "c", "Unreachable PartiallyReachable"},
	} {
		t.Run(name, func(t *testing.T) {
			all := names[:test.size]
			r := roomOf(t, all)
			says := func(observer string) *v1alpha1.NodeReachability {
				if slices.Index(all, observer) < test.seeing {
					return sees(observer, all)
				}
				return sees(observer, all, others(all, observer)...)
			}
			r.confer(says)
			r.Expect(r.row(test.node)).To(Equal(test.want))
			for _, node := range all {
				if 2*test.seeing <= test.size {
					r.Expect(r.verdict(node).State).NotTo(Equal(v1alpha1.NodeReachable), node)
				}
			}
		})
	}
}
