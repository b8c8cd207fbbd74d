package reachability_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
)

// On a large cluster only so many verdicts tell why: those that anybody reads, the worst
// nodes first.
func TestFarMoreNodesThanAnybodyReads(t *testing.T) {
	const size = 4 * verdict.MaxDetailed
	for name, write := range map[string]func(i int, report *v1alpha1.NodeReachability){
		"all are unreachable": func(_ int, report *v1alpha1.NodeReachability) { refuses(report) },
		"all are unknown":     func(_ int, report *v1alpha1.NodeReachability) { report.Status.NodePorts = "" },
		"few are worse than the rest": func(i int, report *v1alpha1.NodeReachability) {
			if i < size-10 {
				report.Status.NodePorts = ""
			} else {
				refuses(report)
			}
		},
		"some answer": func(i int, report *v1alpha1.NodeReachability) {
			if i >= size/4 {
				refuses(report)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			reported := cluster(t, size, write)
			app := webApp()
			app.Known = true
			reported.SetApp(web, app, later)
			verdicts, _ := verdict.Append(nil, reported, web, later)

			g.Expect(verdicts).To(HaveLen(size))
			read, others := 0, 0
			for _, state := range []v1alpha1.NodeState{v1alpha1.NodeUnreachable, v1alpha1.NodeUnknown} {
				for i := range verdicts {
					switch one := &verdicts[i]; {
					case one.State != state:
					case read < verdict.MaxDetailed:
						g.Expect(one.Message).NotTo(BeEmpty())
						g.Expect(one.Observers).To(MatchRegexp("^[0-9]+/[1-8]$"))
						read++
					default:
						g.Expect(one.Reason).NotTo(BeEmpty())
						if one.Message != "" {
							others++
						}
					}
				}
			}
			g.Expect(read).To(Equal(verdict.MaxDetailed))
			g.Expect(others).To(BeNumerically("<=", verdict.MaxDetailed))
		})
	}
}

// Reports and nodes come and go while an app is judged. The verdicts after that are those
// of a State that heard everything one after the other.
func TestReportsComeWhileAppsAreJudged(t *testing.T) {
	g := NewWithT(t)
	const size = 300
	nothing := func(int, *v1alpha1.NodeReachability) {}
	reported := cluster(t, size, nothing)
	reported.SetApp(web, webApp(), start)
	var group sync.WaitGroup
	group.Go(func() {
		for range 20 {
			verdicts, _ := verdict.Append(nil, reported, web, later)
			// Never of some of the nodes before and of some of those after a change.
			g.Expect(len(verdicts)).To(BeElementOf(size, size/2))
		}
	})
	group.Go(func() {
		for i := range size {
			reported.SetNodes(clusterNodes(size / (1 + i%2)))
		}
		reported.SetNodes(clusterNodes(size))
	})
	changed := clusterReports(size, func(_ int, report *v1alpha1.NodeReachability) { refuses(report) })
	for _, report := range changed {
		_, err := reported.Report(report, later)
		g.Expect(err).NotTo(HaveOccurred())
	}
	group.Wait()

	after, _ := verdict.Append(nil, reported, web, later)
	calm := cluster(t, size, func(_ int, report *v1alpha1.NodeReachability) { refuses(report) })
	calm.SetApp(web, webApp(), start)
	expected, _ := verdict.Append(nil, calm, web, later)
	g.Expect(after).To(Equal(expected))
}

// refuses has an observer get no answer of the app anywhere.
func refuses(report *v1alpha1.NodeReachability) {
	report.Status.Failures = []v1alpha1.ProbeFailure{{
		Reason: v1alpha1.ReasonConnectionRefused, Message: "raw error", NodePorts: "31000",
		Addresses: report.Status.Addresses,
	}}
}

// cluster returns what is known of an app on so many nodes, each with eight
// observers, of whose reports write may change something.
func cluster(t testing.TB, size int, write func(i int, report *v1alpha1.NodeReachability)) *reachability.State {
	reported := reachability.NewState()
	reported.SetNodes(clusterNodes(size))
	for _, report := range clusterReports(size, write) {
		if _, err := reported.Report(report, later); err != nil {
			t.Fatal(err)
		}
	}
	return reported
}

func clusterNodes(size int) []reachability.Node {
	nodes := make([]reachability.Node, size)
	for i := range nodes {
		nodes[i] = reachability.Node{
			Name: nodeName(i), Ready: true,
			Addresses: map[corev1.IPFamily]netip.Addr{corev1.IPv4Protocol: nodeAddress(i)},
		}
	}
	return nodes
}

func clusterReports(size int, write func(i int, report *v1alpha1.NodeReachability)) []*v1alpha1.NodeReachability {
	const observers = 8
	renewed := metav1.NewMicroTime(later)
	reports := make([]*v1alpha1.NodeReachability, size)
	for i := range reports {
		report := answers(nodeName(i))
		report.Status.RenewTime = &renewed
		report.Spec.Targets, report.Status.Addresses = nil, nil
		for turn := range observers + 1 {
			target := (i + turn) % size
			address := nodeAddress(target).String()
			report.Spec.Targets = append(report.Spec.Targets, v1alpha1.Target{
				Node: nodeName(target), Addresses: []string{address},
			})
			report.Status.Addresses = append(report.Status.Addresses, address)
		}
		write(i, report)
		reports[i] = report
	}
	return reports
}

func nodeName(i int) string { return fmt.Sprintf("node-%04d", i) }

func nodeAddress(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
}
