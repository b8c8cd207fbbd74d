package reachability_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
)

// room is a reported with one app, its nodes and a clock.
type room struct {
	*GomegaWithT
	reported *reachability.State
	nodes    []reachability.Node
	now      time.Time
}

func newRoom(t *testing.T) *room {
	r := &room{NewWithT(t), reachability.NewState(), []reachability.Node{node("a"), node("b"), node("c")}, later}
	r.reported.SetApp(web, webApp(), start)
	return r
}

// hear takes reports, each renewed now, and judges.
func (r *room) hear(reports ...*v1alpha1.NodeReachability) {
	for _, report := range reports {
		r.now = r.now.Add(time.Millisecond)
		report.Status.RenewTime = new(metav1.NewMicroTime(r.now))
		_, err := r.reported.Report(report, r.now)
		r.Expect(err).NotTo(HaveOccurred())
	}
	r.verdict("a")
}

func (r *room) verdict(name string) v1alpha1.NodeVerdict {
	r.reported.SetNodes(r.nodes)
	verdicts, _ := verdict.Append(nil, r.reported, web, r.now)
	for _, one := range verdicts {
		if one.Node == name {
			return one
		}
	}
	return v1alpha1.NodeVerdict{}
}

// row is a verdict's state and reason.
func (r *room) row(name string) string {
	row := r.verdict(name)
	return string(row.State) + " " + row.Reason
}

// asked tells an observer's report of what it is asked, and answers it.
func (r *room) asked(report *v1alpha1.NodeReachability) *v1alpha1.NodeReachability {
	request, found := r.reported.Requests()[report.Name]
	r.Expect(found).To(BeTrue(), report.Name+" is not asked")
	report.Spec.Recheck = &request
	report.Status.RecheckRound = request.Round
	return report
}

func TestDisagreementIsTakenUpWithAllWhoHaveAWord(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("b"), answers("c"))
	r.Expect(r.reported.Requests()).To(BeEmpty())
	r.Expect(r.reported.Requested()).NotTo(Receive())

	r.hear(fails("c", "Timeout"))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"), "b's word may be older")
	r.Expect(r.reported.Requested()).To(Receive())
	requests := r.reported.Requests()
	r.Expect(requests).To(HaveLen(2))
	for _, observer := range []string{"b", "c"} {
		r.Expect(requests[observer]).To(And(
			HaveField("NodePorts", "31000"), HaveField("Addresses", []string{"10.0.0.1"}),
			HaveField("Round", BeNumerically(">", 0))))
	}

	r.hear(r.asked(answers("b")))
	r.Expect(r.row("a")).To(Equal("Unreachable PartiallyReachable"))
	r.Expect(r.verdict("a").Message).To(HavePrefix("reached from b, but not from c (Timeout: raw error); "))
	r.hear(r.asked(fails("c", "Timeout")))
	r.Expect(r.row("a")).To(Equal("Unreachable PartiallyReachable"))
	r.Expect(r.reported.Requests()).To(BeEmpty())
}

// Many apps may be disputed at once. An observer is asked of so many at a time that the
// request stays small, and of the others as soon as it has answered.
func TestRequestsComeOneAfterTheOther(t *testing.T) {
	const apps, atOnce = 150, 64
	r := newRoom(t)
	everywhere := func(report *v1alpha1.NodeReachability) *v1alpha1.NodeReachability {
		report.Status.NodePorts = "31000-31200"
		if len(report.Status.Failures) > 0 {
			report.Status.Failures[0].NodePorts = "31000-31200"
		}
		return report
	}
	judge := func() (states map[string]int) {
		states = make(map[string]int)
		r.reported.SetNodes(r.nodes)
		for i := range apps {
			verdicts, _ := verdict.Append(nil, r.reported, types.NamespacedName{Name: fmt.Sprint(i)}, r.now)
			states[verdicts[0].Reason]++
		}
		return states
	}
	for i := range apps {
		app := webApp()
		app.Service.NodePort += int32(i)
		app.Service.UID = types.UID(fmt.Sprint(i))
		r.reported.SetApp(types.NamespacedName{Name: fmt.Sprint(i)}, app, start)
	}
	r.reported.DeleteApp(web)
	r.hear(everywhere(answers("b")), everywhere(answers("c")))
	r.hear(everywhere(fails("c", "Timeout")))
	r.Expect(judge()).To(Equal(map[string]int{"Timeout": apps}), "b's words may be older")

	asked := nodeport.Set{}
	for left := apps; left > 0; left -= atOnce {
		r.Expect(r.reported.Requested()).To(Receive())
		request := r.reported.Requests()["b"]
		ports, err := nodeport.Parse(request.NodePorts)
		r.Expect(err).NotTo(HaveOccurred())
		r.Expect(ports.Len()).To(Equal(min(left, atOnce)))
		asked = asked.Union(ports)
		r.Expect(r.reported.Requests()["b"]).To(Equal(request), "until that is answered")

		r.hear(r.asked(everywhere(answers("b"))))
		r.hear(r.asked(everywhere(fails("c", "Timeout"))))
		r.Expect(judge()["PartiallyReachable"]).To(Equal(asked.Len()))
	}
	r.Expect(asked.Len()).To(Equal(apps))
	r.Expect(r.reported.Requests()).To(BeEmpty())
	r.Expect(r.reported.Requested()).NotTo(Receive())
}

// What failed while no pod was ready began long before it is met again.
func TestFailureFromBeforeTheFirstPodIsOld(t *testing.T) {
	r := newRoom(t)
	podless := webApp()
	podless.Endpoints = nil
	r.reported.SetApp(web, podless, r.now)
	r.hear(fails("b", "Timeout"), fails("c", "Timeout"))
	r.Expect(r.row("a")).To(Equal("Unreachable NoReadyEndpoints"))

	r.now = r.now.Add(time.Minute)
	r.reported.SetApp(web, webApp(), r.now)
	r.Expect(r.row("a")).To(Equal("Unknown Pending"))
	r.hear(answers("c"))
	r.hear(r.asked(answers("c")))
	r.now = r.now.Add(6 * time.Second)
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"), "b has not looked since")
	r.hear(r.asked(fails("b", "Timeout")))
	r.Expect(r.row("a")).To(Equal("Unreachable PartiallyReachable"))
}

// On a cluster of thousands much may fail at once. What is then not remembered is
// looked at again, like an old failure.
func TestFailureOfMostOfALargeCluster(t *testing.T) {
	r := newRoom(t)
	const size = 100
	var all []string
	for i := range size {
		address := netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})
		all = append(all, address.String())
		r.nodes = append(r.nodes, node(address.String(), func(node *reachability.Node) {
			node.Addresses = map[corev1.IPFamily]netip.Addr{corev1.IPv4Protocol: address}
		}))
	}
	b, c := answers("b"), answers("c")
	b.Status.Addresses, c.Status.Addresses = all, all
	for i := 0; i < size; i += 2 {
		pair := v1alpha1.Target{Node: all[i], Addresses: all[i : i+2]}
		b.Spec.Targets, c.Spec.Targets = append(b.Spec.Targets, pair), append(c.Spec.Targets, pair)
	}
	broken := b.DeepCopy()
	broken.Status.Failures = fails("b", "Timeout").Status.Failures
	broken.Status.Failures[0].Addresses = all

	r.hear(broken.DeepCopy(), c.DeepCopy())
	r.hear(broken.DeepCopy())
	request := r.reported.Requests()["b"]
	r.Expect(len(request.Addresses)).To(And(BeNumerically(">", 10), BeNumerically("<", size)))
	r.hear(b, c)
	for _, address := range all {
		r.Expect(r.row(address)).To(Equal("Reachable "))
	}
	r.Expect(r.reported.Requests()).To(BeEmpty())

	// What came to an end leaves room for the next.
	for range 5 {
		r.hear(broken.DeepCopy())
		r.Expect(r.reported.Requests()["b"].Addresses).To(HaveLen(len(request.Addresses)))
		r.reported.DeleteApp(web)
		r.reported.SetApp(web, webApp(), r.now)
		r.hear(b)
		r.Expect(r.reported.Requests()).To(BeEmpty())
	}
}

// A failure that began long before the answer that contradicts it may be over.
func TestOldFailureIsLookedAtAgainAfterTheAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		finds *v1alpha1.NodeReachability
		want  string
	}{
		"it is over":    {answers("b"), "Reachable "},
		"it still goes": {fails("b", "Timeout"), "Unreachable PartiallyReachable"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.hear(fails("b", "Timeout"), fails("c", "Timeout"))
			r.now = r.now.Add(time.Minute)
			r.hear(answers("c"))
			first := r.asked(fails("b", "Timeout"))
			r.hear(first)
			r.hear(r.asked(answers("c")))
			r.Expect(r.row("a")).To(Equal("Unreachable Timeout"), "b looked again before c answered")
			r.hear(r.asked(test.finds))
			r.Expect(r.row("a")).To(Equal(test.want))
			r.Expect(r.reported.Requests()).To(BeEmpty())
		})
	}
}

// The operator starts while a node is silent, which answers again right after that.
func TestFailureFromBeforeTheOperatorIsOld(t *testing.T) {
	r := newRoom(t)
	app := webApp()
	app.Known = true
	r.reported.SetApp(web, app, start)
	r.hear(fails("b", "Timeout"), fails("c", "Timeout"))
	r.hear(answers("c"))
	r.hear(r.asked(answers("c")))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"), "b has not looked again")
	r.hear(r.asked(answers("b")))
	r.Expect(r.row("a")).To(Equal("Reachable "))
}

// A node that falls silent is noticed by one observer before the other: it was
// never reachable from one and not from the other.
func TestNodeThatFailsIsNeverPartlyReachable(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("b"), answers("c"))
	r.hear(fails("c", "Timeout"))
	r.hear(r.asked(fails("b", "Timeout")))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))

	r.hear(answers("c"))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"), "on its way back")
	r.hear(r.asked(answers("b")))
	r.Expect(r.row("a")).To(Equal("Reachable "))
}

func TestAnswerToAnEarlierRequestSettlesNothing(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("b"), fails("c", "Timeout"))
	first := r.asked(answers("b"))
	r.hear(answers("c"))
	r.now = r.now.Add(time.Minute)
	r.hear(answers("b"), fails("c", "Timeout"))
	r.hear(first, r.asked(fails("c", "Timeout")))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
}

// Whoever does not look again, because its agent is older or the cluster large,
// is heard when its turn has come in any case.
func TestRenewedReportsSettleADisagreement(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("b"), fails("c", "Timeout"))
	r.reported.SetNodes(r.nodes)
	_, holds := verdict.Append(nil, r.reported, web, r.now)
	r.Expect(holds).To(BeNumerically("~", 25*time.Second, time.Second))
	r.now = r.now.Add(14 * time.Second)
	r.hear(answers("b"), fails("c", "Timeout"))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
	for range 2 {
		r.now = r.now.Add(16 * time.Second)
		r.hear(answers("b"), fails("c", "Timeout"))
	}
	r.Expect(r.row("a")).To(Equal("Unreachable PartiallyReachable"))
}

func TestDisagreementOutlivesTheOperator(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("b"), fails("c", "Timeout"))
	b, c := r.asked(answers("b")), r.asked(fails("c", "Timeout"))

	for _, disputed := range []bool{true, false} {
		next := newRoom(t)
		app := webApp()
		app.Disputed = map[netip.Addr]bool{addressOf("a"): disputed}
		next.reported.SetApp(web, app, start)
		for _, report := range reports(b, c) {
			_, err := next.reported.Report(report, next.now)
			next.Expect(err).NotTo(HaveOccurred())
		}
		if disputed {
			next.Expect(next.row("a")).To(Equal("Unreachable PartiallyReachable"))
			next.Expect(next.reported.Requests()).To(BeEmpty())
			continue
		}
		next.Expect(next.row("a")).To(Equal("Unreachable Timeout"), "the answers may be to an older question")
		next.Expect(next.reported.Requests()).To(HaveLen(2))
	}
}

// A disagreement on what is not expected to answer, or cannot, is not worth the
// writes.
func TestNobodyIsAskedForNothing(t *testing.T) {
	for name, change := range map[string]func(*reachability.App){
		"no pod is ready":         noEndpoints,
		"none is on it, by Local": local("b"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			app := webApp()
			change(&app)
			r.reported.SetApp(web, app, start)
			r.hear(answers("b"), fails("c", "Timeout"))
			r.Expect(r.reported.Requests()).To(BeEmpty())
		})
	}
}

func TestRawErrorsStandBesideAnExcuse(t *testing.T) {
	r := newRoom(t)
	r.nodes[0].Ready = false
	r.hear(fails("b", "Timeout"), fails("c", "Timeout"))
	r.Expect(r.verdict("a").Message).To(Equal(
		"the Node is not Ready: see kubectl describe node; not from b, c (Timeout: raw error)"))
}

// cutOff is the report of an observer that reaches no other node.
func cutOff(observer string) *v1alpha1.NodeReachability {
	report := fails(observer, "Timeout")
	report.Status.NodePorts = "31000"
	report.Status.Failures[0].Addresses = nil
	for _, name := range []string{"a", "b", "c"} {
		if name != observer {
			report.Status.Failures[0].Addresses = append(report.Status.Failures[0].Addresses, addressOf(name).String())
		}
	}
	return report
}

func TestSuspectObserverIsSetAside(t *testing.T) {
	r := newRoom(t)
	r.hear(answers("a"), answers("b"), answers("c"))
	r.hear(cutOff("c"))
	for _, name := range []string{"a", "b"} {
		r.Expect(r.row(name)).To(Equal("Reachable "), "while the others look again")
	}
	r.hear(r.asked(answers("b")))
	for _, name := range []string{"a", "b"} {
		r.Expect(r.row(name)).To(Equal("Reachable "), "one node may be cut off from it")
	}
	r.hear(r.asked(answers("a")))
	for _, name := range []string{"a", "b"} {
		r.Expect(r.row(name)).To(Equal("Reachable SuspectObserver"))
		r.Expect(r.verdict(name).Message).To(ContainSubstring("set aside: c"))
		r.Expect(r.verdict(name).Observers).To(Equal("1/1"))
	}
	r.Expect(r.row("c")).To(Equal("Reachable "), "the others reach it")

	r.hear(answers("c"))
	r.Expect(r.row("a")).To(Equal("Reachable "))
}

// An app comes back, and one observer is the last to notice.
func TestWhoIsLateIsNotSetAside(t *testing.T) {
	r := newRoom(t)
	r.hear(cutOff("a"), cutOff("b"), cutOff("c"))
	r.now = r.now.Add(time.Minute)
	r.hear(answers("a"), answers("b"))
	r.hear(r.asked(answers("a")), r.asked(answers("b")))
	for _, name := range []string{"a", "b"} {
		r.Expect(r.row(name)).To(BeElementOf("Unknown Pending", "Reachable "), "c has not looked again")
	}
	r.hear(r.asked(cutOff("c")))
	for _, name := range []string{"a", "b"} {
		r.Expect(r.row(name)).To(Equal("Reachable SuspectObserver"), "now it has")
	}
}

func TestIsolatedObserverIsBelievedUnlessContradicted(t *testing.T) {
	t.Run("when nobody looks again in time", func(t *testing.T) {
		r := newRoom(t)
		r.hear(answers("a"), answers("b"), answers("c"), cutOff("c"))
		r.reported.SetNodes(r.nodes)
		_, holds := verdict.Append(nil, r.reported, web, r.now)
		r.Expect(holds).To(BeNumerically("~", 3*time.Second, 100*time.Millisecond))
		r.now = r.now.Add(3 * time.Second)
		r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
	})
	t.Run("when the others find the same", func(t *testing.T) {
		r := newRoom(t)
		r.hear(answers("a"), answers("b"), answers("c"), cutOff("c"))
		r.hear(r.asked(fails("b", "Timeout")))
		r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
	})
	t.Run("when it reaches anything else", func(t *testing.T) {
		r := newRoom(t)
		other := webApp()
		other.Service.NodePort = 31001
		r.reported.SetApp(client("other"), other, start)
		report := cutOff("c")
		report.Status.NodePorts = "31000-31001"
		r.hear(answers("a"), answers("b"), report)
		r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
	})
	t.Run("when it reaches no other node that anybody does", func(t *testing.T) {
		// Under Local, with the only pod on a, b drops what comes.
		r := newRoom(t)
		app := webApp()
		local("a")(&app)
		r.reported.SetApp(web, app, start)
		dropping := func(report *v1alpha1.NodeReachability) *v1alpha1.NodeReachability {
			report.Status.NodePorts = "31000"
			report.Status.Failures = append(report.Status.Failures, v1alpha1.ProbeFailure{
				Reason: "Timeout", Message: "raw error", NodePorts: "31000", Addresses: []string{"10.0.0.3"},
			})
			return report
		}
		r.hear(dropping(answers("b")), cutOff("c"))
		r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
		r.hear(r.asked(dropping(answers("b"))), r.asked(cutOff("c")))
		r.Expect(r.row("a")).To(Equal("Unreachable PartiallyReachable"))
	})
	t.Run("when it is the only one that dials", func(t *testing.T) {
		r := newRoom(t)
		r.hear(cutOff("c"))
		r.Expect(r.row("a")).To(Equal("Unreachable Timeout"))
	})
}
