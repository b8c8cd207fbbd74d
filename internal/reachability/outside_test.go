package reachability_test

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// outside makes a report that of an observer out of the cluster.
func outside(report *v1alpha1.NodeReachability) *v1alpha1.NodeReachability {
	report.Name = "lab"
	report.Labels = map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
	return report
}

// nowhere is the report of an observer that reaches no node at all.
func nowhere() *v1alpha1.NodeReachability {
	report := cutOff("z")
	report.Status.Failures[0].Addresses = []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}
	return outside(report)
}

func TestWordsFromOutside(t *testing.T) {
	const refused = "ConnectionRefused"
	alone := []reachability.Node{node("a")}
	onlyA := func(report *v1alpha1.NodeReachability) *v1alpha1.NodeReachability {
		report.Spec.Targets, report.Status.Addresses = targets("a"), []string{"10.0.0.1"}
		return report
	}
	ofNode := func(r *v1alpha1.NodeReachability) {
		r.Name = "b"
		r.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "b"}}
	}
	for name, test := range map[string]verdictTest{
		"stand beside those from inside": {
			reports: reports(answers("b"), answers("c"), outside(answers("z"))),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "2/2", Outside: "1/1"},
		},
		"who reaches the node inside alone is not enough": {
			reports: reports(answers("b"), answers("c"), outside(fails("z", "Timeout"))),
			want: v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: "OutsideUnreachable",
				Observers: "2/2", Outside: "0/1"},
		},
		"who reaches it outside alone is not enough either": {
			reports: reports(fails("b", refused), fails("c", refused), outside(answers("z"))),
			want: v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: refused,
				Observers: "0/2", Outside: "1/1"},
		},
		"take no part in a dispute": {
			reports: reports(answers("b"), fails("c", refused), outside(fails("z", "Timeout"))),
			want: v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: refused,
				Observers: "1/2", Outside: "0/1"},
		},
		"that none is reached are set aside": {
			reports: reports(answers("b"), answers("c"), nowhere()),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Reason: "SuspectObserver", Observers: "2/2"},
		},
		"also where those from inside are translated": {
			reports: reports(translates("b", backend), translates("c", backend), nowhere()),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "TranslatedAtSource"},
		},
		"that are stale have no effect": {
			reports: reports(answers("b"), answers("c"), with(outside(fails("z", "Timeout")), renewed(later.Add(-30*time.Second)))),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "2/2"},
		},
		"that are missing have no effect": {
			reports: reports(answers("b"), answers("c"), outside(waits("z"))),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "2/2"},
		},
		"that are missing are not waited for": {
			reports: reports(answers("b"), answers("c"), outside(waits("z"))), at: time.Second,
			want: v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "2/2"},
		},
		"of an older Service do not count": {
			reports: reports(answers("b"), answers("c"), with(outside(fails("z", "Timeout")), version("99"))),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "2/2"},
		},
		"are a proof where dials inside are translated": {
			reports: reports(translates("b", backend), translates("c", backend), outside(answers("z"))),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Outside: "1/1"},
		},
		"are a disproof there as well": {
			reports: reports(translates("b", backend), translates("c", backend), outside(fails("z", "Timeout"))),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: "Timeout", Outside: "0/1"},
		},
		"count where nobody inside reports": {
			reports: reports(outside(answers("z"))),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Outside: "1/1"},
		},
		"wait for the first word from inside while the app is new": {
			reports: reports(waits("b"), outside(answers("z"))), at: time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "Pending", Observers: "0/1", Outside: "1/1"},
		},
		"are not held against a node while kube-proxy may be on its way": {
			reports: reports(answers("b"), answers("c"), outside(fails("z", "Timeout"))), at: 4 * time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "Pending", Observers: "2/2", Outside: "0/1"},
		},
		"prove more than a node's own word": {
			nodes: alone, reports: reports(onlyA(answers("a")), onlyA(outside(answers("z")))),
			want: v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "1/1", Outside: "1/1"},
		},
		"that none is reached are set aside beside a node's own word": {
			nodes: alone, reports: reports(onlyA(answers("a")), onlyA(outside(fails("z", "Timeout")))),
			want: v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Reason: "ReachableFromSelfOnly",
				Observers: "1/1"},
		},
		"make no node unreachable that need not answer": {
			app:     local("b"),
			reports: reports(answers("b"), answers("c"), outside(fails("z", "Timeout"))),
			want: v1alpha1.NodeVerdict{State: "Reachable", Reason: "UnexpectedAnswer",
				Observers: "2/2", Outside: "0/1"},
		},
		"nor where all from inside are translated": {
			app:     local("b"),
			reports: reports(translates("b", backend), translates("c", backend), outside(fails("z", "Timeout"))),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Reason: "NoLocalEndpoint", Outside: "0/1"},
		},
		"tell of a node that should not answer": {
			app:     local("b"),
			reports: reports(translates("b", backend), translates("c", backend), outside(answers("z"))),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Reason: "UnexpectedAnswer", Outside: "1/1"},
		},
		"change nothing about a missing pod": {
			app:     noEndpoints,
			reports: reports(fails("b", refused), fails("c", refused), outside(fails("z", "Timeout"))),
			want: v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: "NoReadyEndpoints",
				Observers: "0/2", Outside: "0/1"},
		},
		"do not hide what answers without a pod": {
			app:     noEndpoints,
			reports: reports(answers("b"), answers("c"), outside(fails("z", "Timeout"))),
			want: v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: "NotServed",
				Observers: "2/2", Outside: "0/1"},
		},
		"are not those of a Node, whatever its labels say": {
			reports: reports(answers("c"), with(outside(fails("b", refused)), ofNode)),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: refused, Observers: "1/2"},
		},
	} {
		t.Run(name, test.run)
	}
}

func TestMessagesAboutWordsFromOutside(t *testing.T) {
	for name, test := range map[string]struct {
		reports []*v1alpha1.NodeReachability
		want    string
	}{
		"both words": {
			reports(answers("b"), answers("c"), outside(fails("z", "Timeout"))),
			"reached from b, c, but not from lab (Timeout: raw error), outside of the cluster; check the firewall in front of a",
		},
		"the only word": {
			reports(translates("b", backend), outside(fails("z", "Timeout"))),
			"not from lab (Timeout: raw error), outside of the cluster; check that a is up and no firewall is in the way",
		},
		"an observer that lost its network": {
			reports(answers("b"), nowhere()),
			"set aside: lab, outside of the cluster, which reaches no node: see its network",
		},
		"the same, where nobody else can tell": {
			reports(translates("b", backend), nowhere()),
			"b's dial of 10.0.0.1:31000 went to 10.244.1.7:9898: a socket load balancer on the observer (Cilium, Calico eBPF); " +
				"set aside: lab, outside of the cluster, which reaches no node: see its network",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.hear(test.reports...)
			r.Expect(r.verdict("a").Message).To(Equal(test.want))
		})
	}
}

// Its other node ports show that the observer outside has its network.
func TestWordFromOutsideOutweighsANodesOwn(t *testing.T) {
	r := newRoom(t)
	r.nodes = []reachability.Node{node("a")}
	other := webApp()
	other.Service.NodePort = 31001
	r.reported.SetApp(client("other"), other, start)
	r.hear(answers("a"), outside(fails("z", "Timeout")))
	r.Expect(r.row("a")).To(Equal("Unreachable OutsideUnreachable"))
	r.Expect(r.verdict("a").Message).To(HavePrefix("reached from a, but not from lab (Timeout: raw error), outside of the cluster"))
}

// A node comes back, and the observer outside is the last to notice.
func TestObserverOutsideThatIsLate(t *testing.T) {
	type finds = func() *v1alpha1.NodeReachability
	one := func() *v1alpha1.NodeReachability { return outside(fails("z", "Timeout")) }
	run := func(late finds, waits bool, then string) func(t *testing.T) {
		return func(t *testing.T) {
			r := newRoom(t)
			r.hear(answers("a"), answers("b"), answers("c"), outside(answers("z")))
			r.now = r.now.Add(time.Minute)
			r.hear(fails("b", "Timeout"), fails("c", "Timeout"), late())
			r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
			r.now = r.now.Add(time.Minute)
			r.hear(answers("b"), answers("c"))
			r.Expect(r.row("a")).To(BeElementOf("Unreachable Timeout", "Reachable "), "it has not looked again")
			r.hear(r.asked(answers("b")), r.asked(answers("c")))
			r.Expect(r.row("a")).To(BeElementOf("Unreachable Timeout", "Reachable "), "it looked before they did, if at all")
			if waits {
				r.now = r.now.Add(time.Minute)
				r.hear(answers("b"), answers("c"), late())
			} else {
				r.hear(r.asked(late()))
			}
			r.Expect(r.row("a")).To(Equal(then), "now it has")
			r.hear(outside(answers("z")))
			r.Expect(r.row("a")).To(Equal("Reachable "))
		}
	}
	t.Run("on one node, and answers", run(one, false, "Unreachable OutsideUnreachable"))
	t.Run("on one node, and does not", run(one, true, "Unreachable OutsideUnreachable"))
	t.Run("on every node, and answers", run(nowhere, false, "Reachable "))
	t.Run("on every node, and does not", run(nowhere, true, "Reachable SuspectObserver"))
}

// The app crashes again just after it came back, and the observer outside is the first to
// notice, on every node: it looked later than the others did.
func TestObserverOutsideThatIsFirstOnEveryNode(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("a"), answers("b"), answers("c"), outside(answers("z")))
	r.now = r.now.Add(time.Minute)
	r.hear(nowhere())
	r.Expect(r.row("a")).To(Equal("Reachable "))
	r.hear(r.asked(answers("b")), r.asked(answers("c")))
	r.hear(r.asked(nowhere()))
	r.Expect(r.row("a")).To(Equal("Reachable "), "nobody has looked after it did")
	r.now = r.now.Add(20 * time.Second)
	r.hear(answers("b"), answers("c"), nowhere())
	r.Expect(r.row("a")).To(Equal("Reachable SuspectObserver"), "now they have")
}

// A node falls silent, and the observer outside is the first to notice.
func TestObserverOutsideThatIsFirst(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("a"), answers("b"), answers("c"), outside(answers("z")))
	r.now = r.now.Add(time.Minute)
	r.hear(outside(fails("z", "Timeout")))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
	r.Expect(r.verdict("a").Message).To(HavePrefix("not from lab (Timeout: raw error), outside of the cluster"))
	r.hear(fails("b", "Timeout"), fails("c", "Timeout"))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
}

// A node was silent for a moment, of which the observer outside tells when it is over.
func TestObserverOutsideThatTellsOfWhatIsOver(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("a"), answers("b"), answers("c"), outside(answers("z")))
	r.now = r.now.Add(time.Minute)
	r.hear(fails("b", "Timeout"), fails("c", "Timeout"))
	r.now = r.now.Add(4 * time.Second)
	r.hear(answers("b"), answers("c"))
	r.Expect(r.row("a")).To(Equal("Reachable "))
	r.hear(outside(fails("z", "Timeout")))
	r.hear(r.asked(answers("b")), r.asked(answers("c")))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"), "it has not looked again")
	r.hear(r.asked(outside(fails("z", "Timeout"))))
	r.Expect(r.row("a")).To(Equal("Unreachable OutsideUnreachable"), "now it has")
}

// What an earlier operator said is not found out anew.
func TestContradictionFromOutsideOutlivesTheOperator(t *testing.T) {
	r := newRoom(t)
	app := webApp()
	app.Known, app.Disputed = true, map[netip.Addr]bool{addressOf("a"): true}
	r.reported.SetApp(web, app, start)
	r.hear(answers("b"), answers("c"))
	r.hear(outside(fails("z", "Timeout")))
	r.Expect(r.row("a")).To(Equal("Unreachable OutsideUnreachable"))
}

// A contradiction that was there before the app was judged is no news.
func TestOldContradictionFromOutsideIsNoQuestion(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("a"), answers("b"), answers("c"), outside(fails("z", "Timeout")))
	r.Expect(r.row("a")).To(Equal("Unreachable OutsideUnreachable"))
	r.Expect(r.reported.Requests()).To(BeEmpty())
	r.hear(outside(answers("z")))
	r.Expect(r.row("a")).To(Equal("Reachable "))
	r.reported.Remove("lab")
	r.Expect(r.verdict("a").Outside).To(BeEmpty())
}
