package reachability_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
)

// The cluster of the tables: three nodes a, b and c, one app on port 31000
// whose Service is at resourceVersion 100, judged long after it last changed.
var (
	start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	later = start.Add(time.Hour)
	web   = types.NamespacedName{Namespace: "shop", Name: "web"}
)

// verdictTest has the verdict on node a follow from what is known and reported.
type verdictTest struct {
	app     func(*reachability.App)
	nodes   []reachability.Node
	reports []*v1alpha1.NodeReachability
	// at is the time since the start; an hour when it is zero.
	at   time.Duration
	want v1alpha1.NodeVerdict
}

func TestVerdict(t *testing.T) {
	const refused = "ConnectionRefused"
	tests := map[string]verdictTest{
		"a node that all others reach is reachable": {
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "2/2"},
		},
		"a node's own word is no proof": {
			reports: reports(answers("a")),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "NoObserver"},
		},
		"a node's own word does not outweigh the others'": {
			reports: reports(answers("a"), fails("b", refused), fails("c", refused)),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: refused, Observers: "0/2"},
		},
		"the only node of a cluster is believed, and that is said": {
			nodes:   []reachability.Node{node("a")},
			reports: reports(answers("a")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Reason: "ReachableFromSelfOnly", Observers: "1/1"},
		},
		"the word of a node that is gone does not count": {
			nodes:   []reachability.Node{node("a"), node("b")},
			reports: reports(answers("b"), fails("c", refused)),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "1/1"},
		},
		"a failure counts at once, while the others look again": {
			reports: reports(answers("b"), fails("c", "Timeout")),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: "Timeout", Observers: "1/2"},
		},
		"an observer without a word does not hold back the others' for ever": {
			reports: reports(answers("b"), waits("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "1/2"},
		},
		"but it does while the app is new": {
			reports: reports(answers("b"), waits("c")), at: 10 * time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "Pending", Observers: "1/2"},
		},
		"no report is missed for 30 seconds": {
			at:   29 * time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "Pending"},
		},
		"no report is missed after 30 seconds": {
			at:   30 * time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "NoObserver"},
		},
		"a failure is not held against a node while kube-proxy may be on its way": {
			reports: reports(fails("b", refused), fails("c", refused)), at: 4 * time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "Pending", Observers: "0/2"},
		},
		"a failure is held against a node after that": {
			reports: reports(fails("b", refused), fails("c", refused)), at: 5 * time.Second,
			want: v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: refused, Observers: "0/2"},
		},
		"a report older than the Service is no word on it": {
			reports: reports(with(answers("b"), version("99")), with(answers("c"), version("99"))),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "Pending", Observers: "0/2"},
		},
		"a resourceVersion is compared as a number": {
			reports: reports(with(answers("b"), version("1000")), with(answers("c"), version("99"))),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "1/2"},
		},
		"a report that is three heartbeats old is stale": {
			reports: reports(with(answers("b"), renewed(later.Add(-30*time.Second))),
				with(answers("c"), renewed(later.Add(-30*time.Second)))),
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "NoObserver"},
		},
		"a stale failure does not count either": {
			reports: reports(answers("b"), with(fails("c", refused), renewed(later.Add(-30*time.Second)))),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "1/1"},
		},
		"a report about another port is no word": {
			reports: reports(with(answers("b"), ports("31001")), with(answers("c"), ports("31001"))),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "Pending", Observers: "0/2"},
		},
		"a report about another address is no observer": {
			reports: reports(with(answers("b"), addresses("10.0.0.9"))),
			want:    v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "NoObserver"},
		},
		"a NotReady node is not expected, and its state is told": {
			nodes:   []reachability.Node{node("a", notReady), node("b"), node("c")},
			reports: reports(fails("b", "Timeout"), fails("c", "Timeout")),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Reason: "NodeNotReady", Observers: "0/2"},
		},
		"a node that the app leaves out is not expected, whoever fails to reach it": {
			app:     expecting("type!=virtual"),
			nodes:   []reachability.Node{node("a", virtual), node("b"), node("c")},
			reports: reports(fails("b", "Timeout"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Reason: "NodeExcluded", Observers: "1/2"},
		},
		"a node that the app asks for is expected": {
			app:     expecting("type=virtual"),
			nodes:   []reachability.Node{node("a", virtual), node("b"), node("c")},
			reports: reports(fails("b", "Timeout"), fails("c", "Timeout")),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: "Timeout", Observers: "0/2"},
		},
		"a node that is left out for all apps is not expected": {
			nodes:   []reachability.Node{node("a", excluded), node("b"), node("c")},
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Reason: "NodeExcluded", Observers: "2/2"},
		},
		"a node that is left out is heard": {
			nodes:   []reachability.Node{node("a"), node("b", excluded), node("c", excluded)},
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "2/2"},
		},
		"a NotReady node that answers says so": {
			nodes:   []reachability.Node{node("a", notReady), node("b"), node("c")},
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Reason: "NodeNotReady", Observers: "2/2"},
		},
		"a node on its way out is not expected": {
			nodes:   []reachability.Node{node("a", deleting), node("b"), node("c")},
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Reason: "NodeDeleting", Observers: "2/2"},
		},
		"a node without an address of the family is not expected": {
			nodes: []reachability.Node{node("a", noAddress), node("b"), node("c")},
			want:  v1alpha1.NodeVerdict{State: "Unknown", Reason: "NoAddress"},
		},
		"under Local a node without a ready pod is not expected": {
			app:     local("b"),
			reports: reports(fails("b", "Timeout"), fails("c", "Timeout")),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Reason: "NoLocalEndpoint", Observers: "0/2"},
		},
		"under Local a node with a ready pod is expected": {
			app:     local("a"),
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "2/2"},
		},
		"under Local a node without a pod that answers all the same is told of": {
			app:     local("b"),
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Reason: "UnexpectedAnswer", Observers: "2/2"},
		},
		"under Local a node may answer for as long as its pod is on its way out": {
			app:     leaving("a"),
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Reason: "NoLocalEndpoint", Observers: "2/2"},
		},
		"under Local a node may answer until every word is newer than its pod's end": {
			app:     local("b"),
			reports: reports(answers("b"), answers("c")), at: 14 * time.Second,
			want: v1alpha1.NodeVerdict{State: "Reachable", Reason: "NoLocalEndpoint", Observers: "2/2"},
		},
		"without a ready pod that is the reason, not the refusals": {
			app:     noEndpoints,
			reports: reports(fails("b", refused), fails("c", refused)),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: "NoReadyEndpoints", Observers: "0/2"},
		},
		"without a ready pod a node that answers is served by something else": {
			app:     noEndpoints,
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Unreachable", Expected: true, Reason: "NotServed", Observers: "2/2"},
		},
		"which nobody can tell until every word is newer than the last pod's end": {
			app:     noEndpoints,
			reports: reports(answers("b"), answers("c")), at: 14 * time.Second,
			want: v1alpha1.NodeVerdict{State: "Unknown", Expected: true, Reason: "NoReadyEndpoints", Observers: "2/2"},
		},
		"a pod on its way out still serves": {
			app:     onlyLeaving,
			reports: reports(answers("b"), answers("c")),
			want:    v1alpha1.NodeVerdict{State: "Reachable", Expected: true, Observers: "2/2"},
		},
	}
	for name, test := range tests {
		t.Run(name, test.run)
	}
}

func (test verdictTest) run(t *testing.T) {
	g := NewWithT(t)
	now := later
	if test.at != 0 {
		now = start.Add(test.at)
	}
	app := webApp()
	if test.app != nil {
		test.app(&app)
	}
	nodes := test.nodes
	if nodes == nil {
		nodes = []reachability.Node{node("a"), node("b"), node("c")}
	}
	reported := reachability.NewState()
	reported.SetApp(web, app, start)
	for _, report := range test.reports {
		_, err := reported.Report(report, now)
		g.Expect(err).NotTo(HaveOccurred())
	}

	reported.SetNodes(nodes)
	verdicts, _ := verdict.Append(nil, reported, web, now)

	g.Expect(verdicts).To(HaveLen(len(nodes)))
	got := verdicts[0]
	got.Message = ""
	test.want.Node, test.want.Family = "a", corev1.IPv4Protocol
	if address, found := nodes[0].Addresses[corev1.IPv4Protocol]; found {
		test.want.Address = address.String()
	}
	g.Expect(got).To(Equal(test.want))
}

// Refusals and timeouts take turns where kube-proxy rejects, by a rate limit of
// the kernel. A status that told of it would never rest.
func TestNoReadyEndpointsIsQuiet(t *testing.T) {
	g := NewWithT(t)
	app := webApp()
	noEndpoints(&app)
	verdictAfter := func(reason string) []v1alpha1.NodeVerdict {
		reported := reachability.NewState()
		reported.SetApp(web, app, start)
		_, err := reported.Report(fails("b", reason), later)
		g.Expect(err).NotTo(HaveOccurred())
		reported.SetNodes([]reachability.Node{node("a"), node("b")})
		verdicts, _ := verdict.Append(nil, reported, web, later)
		return verdicts
	}
	g.Expect(verdictAfter("Timeout")).To(Equal(verdictAfter("ConnectionRefused")))
}

// Another app may take over a port within a second: what was said of the one
// must not count for the other.
func TestEvidenceEndsWithTheService(t *testing.T) {
	nodes := []reachability.Node{node("a"), node("b")}
	changes := map[string]func(*reachability.App){
		"another Service on the port": func(app *reachability.App) { app.Service.UID = "other" },
		"another port":                func(app *reachability.App) { app.Service.NodePort = 31001 },
		"another target port":         func(app *reachability.App) { app.Service.TargetPort = "8080" },
		"another policy":              func(app *reachability.App) { app.Service.ExternalTrafficPolicy = "Local" },
		"another probe":               func(app *reachability.App) { app.Service.Probe = `{"path":"/new"}` },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			reported := reachability.NewState()
			reported.SetApp(web, webApp(), start)
			_, err := reported.Report(with(answers("b"), ports("31000-31001"), addresses("10.0.0.1")), later)
			g.Expect(err).NotTo(HaveOccurred())
			state := func() v1alpha1.NodeState {
				reported.SetNodes(nodes)
				verdicts, _ := verdict.Append(nil, reported, web, later)
				return verdicts[0].State
			}
			g.Expect(state()).To(Equal(v1alpha1.NodeReachable))

			app := webApp()
			change(&app)
			app.ResourceVersion = "101"
			reported.SetApp(web, app, later)
			g.Expect(state()).To(Equal(v1alpha1.NodeUnknown))

			_, err = reported.Report(with(answers("b"), ports("31000-31001"), addresses("10.0.0.1"),
				version("101"), renewed(later.Add(time.Second))), later)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(state()).To(Equal(v1alpha1.NodeReachable))
		})
	}
}

func TestEvidenceOutlivesAnIrrelevantChange(t *testing.T) {
	g := NewWithT(t)
	reported := reachability.NewState()
	reported.SetApp(web, webApp(), start)
	_, err := reported.Report(answers("b"), later)
	g.Expect(err).NotTo(HaveOccurred())
	app := webApp()
	app.ResourceVersion = "200"
	reported.SetApp(web, app, later)
	reported.SetNodes([]reachability.Node{node("a"), node("b")})
	verdicts, wake := verdict.Append(nil, reported, web, later)
	g.Expect(verdicts[0].State).To(Equal(v1alpha1.NodeReachable))
	g.Expect(wake).To(BeZero())
}

// An operator that starts anew takes what an earlier one judged as it is.
func TestKnownAppIsNotNew(t *testing.T) {
	g := NewWithT(t)
	app := webApp()
	app.Known = true
	reported := reachability.NewState()
	reported.SetApp(web, app, later)
	_, err := reported.Report(fails("b", "Timeout"), later)
	g.Expect(err).NotTo(HaveOccurred())
	reported.SetNodes([]reachability.Node{node("a"), node("b")})
	verdicts, _ := verdict.Append(nil, reported, web, later)
	g.Expect(verdicts[0].State).To(Equal(v1alpha1.NodeUnreachable))
}

func TestReportTouchesOnlyAppsWhoseWordChanged(t *testing.T) {
	shop := types.NamespacedName{Namespace: "shop", Name: "other"}
	later := start.Add(time.Minute)
	tests := map[string]struct {
		next *v1alpha1.NodeReachability
		want []types.NamespacedName
	}{
		"a heartbeat":                            {next: answers("b")},
		"a failure":                              {next: with(fails("b", "Timeout"), ports("31000-31010")), want: []types.NamespacedName{web}},
		"a port less":                            {next: with(answers("b"), ports("31000")), want: []types.NamespacedName{shop}},
		"a newer version that nobody waited for": {next: with(answers("b"), version("300"))},
		"an older version":                       {next: with(answers("b"), version("150")), want: []types.NamespacedName{shop}},
		"an address less":                        {next: with(answers("b"), addresses("10.0.0.1")), want: []types.NamespacedName{web, shop}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			reported := reachability.NewState()
			reported.SetApp(web, webApp(), start)
			other := webApp()
			other.Service.NodePort, other.ResourceVersion = 31005, "200"
			reported.SetApp(shop, other, start)
			_, err := reported.Report(with(answers("b"), version("200")), later)
			g.Expect(err).NotTo(HaveOccurred())

			if test.next.Status.ServicesResourceVersion == "100" {
				test.next.Status.ServicesResourceVersion = "200"
			}
			touched, err := reported.Report(with(test.next, renewed(later.Add(time.Second))), later.Add(time.Second))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(touched).To(ConsistOf(test.want))
		})
	}
}

func TestExpire(t *testing.T) {
	g := NewWithT(t)
	reported := reachability.NewState()
	reported.SetApp(web, webApp(), start)
	_, err := reported.Report(answers("b"), later)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(reported.Expire(later.Add(29 * time.Second))).To(BeEmpty())
	g.Expect(reported.Expire(later.Add(30 * time.Second))).To(ConsistOf(web))
	g.Expect(reported.Expire(later.Add(31 * time.Second))).To(BeEmpty())

	// A node's clock may be wrong: what counts is that it renews.
	touched, err := reported.Report(with(answers("b"), renewed(start)), later.Add(40*time.Second))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(touched).To(ConsistOf(web))
}

// While the API server is away, an operator hears of nobody; that is not the
// observers' fault.
func TestReportsDoNotAgeWhileNobodyIsHeard(t *testing.T) {
	g := NewWithT(t)
	reported := reachability.NewState()
	reported.SetApp(web, webApp(), start)
	_, err := reported.Report(answers("b"), later)
	g.Expect(err).NotTo(HaveOccurred())
	reported.PauseExpiry(later.Add(10 * time.Second))
	reported.PauseExpiry(later.Add(20 * time.Second))
	g.Expect(reported.Expire(later.Add(time.Hour))).To(BeEmpty())
	back := later.Add(time.Hour + 10*time.Second)
	reported.ResumeExpiry(back)
	reported.ResumeExpiry(back.Add(time.Minute))
	g.Expect(reported.Expire(back.Add(19 * time.Second))).To(BeEmpty())
	g.Expect(reported.Expire(back.Add(20 * time.Second))).To(ConsistOf(web))
}

func TestUnreadableReportSaysNothing(t *testing.T) {
	breakages := map[string]func(*v1alpha1.NodeReachability){
		"addresses": func(r *v1alpha1.NodeReachability) { r.Status.Addresses = []string{"nowhere"} },
		"nodePorts": func(r *v1alpha1.NodeReachability) { r.Status.NodePorts = "31000-" },
		"failures":  func(r *v1alpha1.NodeReachability) { r.Status.Failures = []v1alpha1.ProbeFailure{{NodePorts: "x"}} },
		"pending":   func(r *v1alpha1.NodeReachability) { r.Status.Pending = []v1alpha1.PendingProbes{{NodePorts: "x"}} },
	}
	for field, damage := range breakages {
		t.Run(field, func(t *testing.T) {
			g := NewWithT(t)
			reported := reachability.NewState()
			reported.SetApp(web, webApp(), start)
			_, err := reported.Report(answers("b"), later)
			g.Expect(err).NotTo(HaveOccurred())
			touched, err := reported.Report(with(answers("b"), renewed(later.Add(time.Second)), damage), later)
			g.Expect(err).To(MatchError(ContainSubstring("status." + field)))
			g.Expect(touched).To(ConsistOf(web))
			reported.SetNodes([]reachability.Node{node("a"), node("b")})
			verdicts, _ := verdict.Append(nil, reported, web, later)
			g.Expect(verdicts[0].State).To(Equal(v1alpha1.NodeUnknown))
		})
	}
}

func webApp() reachability.App {
	return reachability.App{
		Service:         reachability.Service{UID: "web", NodePort: 31000, Families: "IPv4"},
		ResourceVersion: "100",
		Families:        []corev1.IPFamily{corev1.IPv4Protocol},
		Endpoints:       on(true, "b"),
		Period:          5 * time.Second,
	}
}

func local(endpoints ...string) func(*reachability.App) {
	return func(app *reachability.App) {
		app.Service.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		app.Endpoints = on(true, endpoints...)
	}
}

// on returns the IPv4 endpoints on some nodes.
func on(ready bool, nodes ...string) reachability.Endpoints {
	var endpoints reachability.Endpoints
	for _, node := range nodes {
		endpoints = append(endpoints, reachability.Endpoint{Family: corev1.IPv4Protocol, Node: node, Ready: ready})
	}
	slices.SortFunc(endpoints, reachability.Endpoint.Compare)
	return endpoints
}

// leaving puts a pod that is ready on b, and one that is being terminated on the
// nodes given.
func leaving(nodes ...string) func(*reachability.App) {
	return func(app *reachability.App) {
		local("b")(app)
		app.Endpoints = append(app.Endpoints, on(false, nodes...)...)
		slices.SortFunc(app.Endpoints, reachability.Endpoint.Compare)
	}
}

func onlyLeaving(app *reachability.App) {
	app.Endpoints = on(false, "b")
}

func noEndpoints(app *reachability.App) { app.Endpoints = nil }

func node(name string, changes ...func(*reachability.Node)) reachability.Node {
	node := reachability.Node{
		Name: name, Ready: true,
		Addresses: map[corev1.IPFamily]netip.Addr{corev1.IPv4Protocol: addressOf(name)},
	}
	for _, change := range changes {
		change(&node)
	}
	return node
}

// addressOf is 10.0.0.1 for a, and so on.
func addressOf(name string) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, 0, name[0] - 'a' + 1})
}

func notReady(node *reachability.Node)  { node.Ready = false }
func deleting(node *reachability.Node)  { node.Deleting = true }
func excluded(node *reachability.Node)  { node.Excluded = true }
func virtual(node *reachability.Node)   { node.Labels = labels.Set{"type": "virtual"} }
func noAddress(node *reachability.Node) { node.Addresses = nil }

func reports(all ...*v1alpha1.NodeReachability) []*v1alpha1.NodeReachability { return all }

// answers is the report of an observer that reaches all three nodes.
func answers(observer string) *v1alpha1.NodeReachability {
	renew := metav1.NewMicroTime(later)
	return &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: observer},
		Spec: v1alpha1.NodeReachabilitySpec{
			HeartbeatSeconds: 10,
			Targets:          targets("a", "b", "c"),
		},
		Status: v1alpha1.NodeReachabilityStatus{
			RenewTime:               &renew,
			ServicesResourceVersion: "100",
			Addresses:               []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"},
			NodePorts:               "31000-31010",
		},
	}
}

// targets are the nodes that an observer is to dial.
func targets(nodes ...string) (targets []v1alpha1.Target) {
	for _, node := range nodes {
		targets = append(targets, v1alpha1.Target{Node: node, Addresses: []string{addressOf(node).String()}})
	}
	return targets
}

// fails is the report of an observer that does not reach node a.
func fails(observer, reason string) *v1alpha1.NodeReachability {
	report := answers(observer)
	report.Status.Failures = []v1alpha1.ProbeFailure{
		{Reason: reason, Message: "raw error", NodePorts: "31000", Addresses: []string{"10.0.0.1"}},
	}
	return report
}

// waits is the report of an observer that has no result on node a yet.
func waits(observer string) *v1alpha1.NodeReachability {
	report := answers(observer)
	report.Status.Pending = []v1alpha1.PendingProbes{{NodePorts: "31000", Addresses: []string{"10.0.0.1"}}}
	return report
}

func with(
	report *v1alpha1.NodeReachability, changes ...func(*v1alpha1.NodeReachability),
) *v1alpha1.NodeReachability {
	for _, change := range changes {
		change(report)
	}
	return report
}

func version(version string) func(*v1alpha1.NodeReachability) {
	return func(r *v1alpha1.NodeReachability) { r.Status.ServicesResourceVersion = version }
}

func ports(ports string) func(*v1alpha1.NodeReachability) {
	return func(r *v1alpha1.NodeReachability) { r.Status.NodePorts = ports }
}

func addresses(addresses ...string) func(*v1alpha1.NodeReachability) {
	return func(r *v1alpha1.NodeReachability) { r.Status.Addresses = addresses }
}

func renewed(at time.Time) func(*v1alpha1.NodeReachability) {
	renew := metav1.NewMicroTime(at)
	return func(r *v1alpha1.NodeReachability) { r.Status.RenewTime = &renew }
}

// expecting has an app leave out the nodes that are not selected.
func expecting(selector string) func(*reachability.App) {
	return func(app *reachability.App) {
		var err error
		if app.Expected, err = labels.Parse(selector); err != nil {
			panic(err)
		}
	}
}
