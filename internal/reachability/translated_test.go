package reachability_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
)

// translates is the report of an observer whose dials of node a end elsewhere.
func translates(observer string, elsewhere string) *v1alpha1.NodeReachability {
	report := waits(observer)
	report.Status.Pending[0].Reason = v1alpha1.ReasonTranslatedAtSource
	report.Status.Pending[0].TranslatedTo = elsewhere
	return report
}

// isAt is the report of an observer whose own host has the address of node a.
func isAt(observer string) *v1alpha1.NodeReachability {
	report := waits(observer)
	report.Status.Pending[0].Reason = v1alpha1.PendingOwnAddress
	return report
}

const backend = "10.244.1.7:9898"

func TestDialsThatNeverLeaveForTheNode(t *testing.T) {
	for name, test := range map[string]verdictTest{
		"a translated dial is no word about the node": {
			reports: reports(translates("b", backend), translates("c", backend)),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "TranslatedAtSource"},
		},
		"which is told at once": {
			reports: reports(translates("b", backend), translates("c", backend)), at: time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "TranslatedAtSource"},
		},
		"an untranslated answer wins": {
			reports: reports(translates("b", backend), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "1/1"},
		},
		"so it does while the app is new": {
			reports: reports(translates("b", backend), answers("c")), at: time.Second,
			want: v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "1/1"},
		},
		"an untranslated failure wins": {
			reports: reports(translates("b", backend), fails("c", "Timeout")),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: "Timeout", Observers: "0/1"},
		},
		"who has no word yet is waited for": {
			reports: reports(translates("b", backend), waits("c")), at: 10 * time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "Pending", Observers: "0/1"},
		},
		"but not for ever": {
			reports: reports(translates("b", backend), waits("c")),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "TranslatedAtSource", Observers: "0/1"},
		},
		"what was said of an older Service is not even that": {
			reports: reports(with(translates("b", backend), version("99")), with(translates("c", backend), version("99"))),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "Pending", Observers: "0/2"},
		},
		"under Local it is no unexpected answer": {
			app:     local("b"),
			reports: reports(translates("b", backend), translates("c", backend)),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Reason: "NoLocalEndpoint"},
		},
		"nor is it one of something else that is served": {
			app:     noEndpoints,
			reports: reports(translates("b", backend), translates("c", backend)),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "NoReadyEndpoints"},
		},
		"a node alone that translates its own dials has no word either": {
			nodes:   []reachability.Node{node("a")},
			reports: reports(translates("a", backend)),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "TranslatedAtSource"},
		},
		"an address of the observers' own hosts is observed by nobody": {
			reports: reports(isAt("b"), isAt("c")), at: time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "NoObserver"},
		},
		"but by those who do not have it": {
			reports: reports(isAt("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "1/1"},
		},
		"an address that several Nodes have is observed by none of them": {
			reports: reports(with(answers("b"), sharing("b")), with(answers("c"), sharing("c"))),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "NoObserver"},
		},
	} {
		t.Run(name, test.run)
	}
}

// sharing gives an observer the address of node a as well.
func sharing(observer string) func(*v1alpha1.NodeReachability) {
	return func(r *v1alpha1.NodeReachability) {
		r.Spec.Targets = append(r.Spec.Targets, v1alpha1.Target{Node: observer, Addresses: []string{"10.0.0.1"}})
	}
}

func TestTranslationTellsWhereTheDialsWent(t *testing.T) {
	r := newRoom(t)
	r.hear(translates("b", ""), translates("c", backend))
	r.Expect(r.verdict("a").Message).To(Equal("c's dial of 10.0.0.1:31000 went to 10.244.1.7:9898: a socket load balancer " +
		"on the observer (Cilium, Calico eBPF); way out: the raw-probe component or an observer outside"))
	r.hear(translates("c", "evil\x1b[2J"))
	r.Expect(r.verdict("a").Message).To(HavePrefix("b's dial of 10.0.0.1:31000 went to different places: "))
	r.hear(isAt("b"), isAt("c"))
	r.Expect(r.verdict("a").Message).To(HavePrefix("10.0.0.1 is an address of these hosts as well"))
	r.Expect(r.verdict("a").Message).To(ContainSubstring("b, c"))
}

// The way out stands at the end, where a message that is too long would be cut.
func TestTranslationHasRoomForTheWayOut(t *testing.T) {
	g := NewWithT(t)
	const address = "2001:db8:1111:2222:3333:4444:5555:6666"
	observer := strings.Repeat("node.", 40) + "example"
	app := webApp()
	app.Families = []corev1.IPFamily{corev1.IPv6Protocol}
	app.Endpoints = reachability.Endpoints{{Family: corev1.IPv6Protocol, Node: "a", Ready: true}}
	reported := reachability.NewState()
	reported.SetApp(web, app, start)
	reported.SetNodes([]reachability.Node{
		{Name: "a", Ready: true, Addresses: map[corev1.IPFamily]netip.Addr{corev1.IPv6Protocol: netip.MustParseAddr(address)}},
		{Name: observer, Ready: true},
	})
	report := translates(observer, "["+address+"]:65535")
	report.Spec.Targets = []v1alpha1.Target{{Node: "a", Addresses: []string{address}}}
	report.Status.Addresses, report.Status.Pending[0].Addresses = []string{address}, []string{address}
	_, err := reported.Report(report, later)
	g.Expect(err).NotTo(HaveOccurred())
	verdicts, _ := verdict.Append(nil, reported, web, later)
	g.Expect(verdicts[0].Reason).To(Equal("TranslatedAtSource"))
	g.Expect(len(verdicts[0].Message)).To(BeNumerically("<=", 256))
	g.Expect(verdicts[0].Message).To(And(HavePrefix("node."), HaveSuffix("an observer outside")))
}

// What never left for a node is no clue to what is wrong with others.
func TestTranslatedDialsAreNoClue(t *testing.T) {
	healthy := v1alpha1.Evidence{Pod: "Reached", ClusterIP: "Reached", KubeProxy: "Reached"}
	r := newRoom(t)
	r.hear(with(fails("b", "Timeout"), knows(healthy)), with(fails("c", "Timeout"), knows(healthy)))
	r.hear(translates("a", backend))
	r.now = r.now.Add(time.Minute)
	r.hear(with(fails("b", "Timeout"), knows(healthy)), with(fails("c", "Timeout"), knows(healthy)), translates("a", backend))
	r.Expect(r.verdict("a").Message).NotTo(ContainSubstring("likely"), "a's own dial was not of a")

	r = newRoom(t)
	everywhere := func(observer string) *v1alpha1.NodeReachability {
		report := translates(observer, backend)
		report.Status.Pending[0].Addresses = report.Status.Addresses
		return report
	}
	r.hear(everywhere("a"), everywhere("b"), cutOff("c"))
	r.Expect(r.row("a")).To(Equal("Unreachable Timeout"), "nobody contradicts c")
	r.Expect(r.reported.Requests()).To(BeEmpty())
	r.Expect(r.row("c")).To(Equal("Unknown TranslatedAtSource"))
}

func TestUnexpectedAnswerOfDirectDials(t *testing.T) {
	r := newRoom(t)
	app := webApp()
	local("b")(&app)
	r.reported.SetApp(web, app, start)
	r.hear(answers("b"), answers("c"))
	r.Expect(r.row("a")).To(Equal("Reachable UnexpectedAnswer"))
	r.Expect(r.verdict("a").Message).To(ContainSubstring("translated at tc"))
	r.Expect(len(r.verdict("a").Message)).To(BeNumerically("<=", 256))
	r.hear(waits("c"))
	r.Expect(r.row("a")).To(Equal("Reachable UnexpectedAnswer"))
	r.Expect(r.verdict("a").Message).NotTo(ContainSubstring("translated at tc"), "not all observers are answered")
}

// Behind a socket load balancer a node's own dial is translated, also where those of others
// are proofs. That is nothing against it.
func TestCutOffObserverOfNodesThatTranslateTheirOwnDials(t *testing.T) {
	r := newRoom(t)
	own := func(observer string) *v1alpha1.NodeReachability {
		report := translates(observer, backend)
		report.Status.NodePorts = "31000"
		report.Status.Pending[0].Addresses = []string{addressOf(observer).String()}
		return report
	}
	r.hear(own("a"), own("b"), cutOff("c"))
	r.hear(r.asked(own("b")), r.asked(own("a")))
	for _, name := range []string{"a", "b"} {
		r.Expect(r.row(name)).To(Equal("Reachable SuspectObserver"))
	}
}
