package appstatus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestStatus(t *testing.T) {
	shown := func(app *v1alpha1.ExposedApp) { app.Status.NodePort = 30003 }
	tests := map[string]struct {
		options []gen.Option
		seen    *Observed
		want    v1alpha1.ExposedAppStatus
	}{
		"all is well": {
			options: []gen.Option{gen.WithReplicas(3)}, seen: healthy(),
			want: v1alpha1.ExposedAppStatus{
				NodePort: 31000, Replicas: 3, ReadyReplicas: 3, ReplicasSummary: "3/3",
				Reachability: &v1alpha1.ReachabilitySummary{Expected: 3, Reachable: 3, Summary: "3/3"},
			},
		},
		"nothing is made yet": {
			options: []gen.Option{gen.WithReplicas(3)}, seen: &Observed{},
			want: v1alpha1.ExposedAppStatus{
				ReplicasSummary: "0/3", Reachability: &v1alpha1.ReachabilitySummary{Summary: "0/0"},
			},
		},
		"pods and nodes are missing": {
			options: []gen.Option{gen.WithReplicas(5)},
			seen: healthy(func(seen *Observed) {
				seen.Deployment.Status.Replicas, seen.Deployment.Status.ReadyReplicas = 4, 2
				seen.Verdicts = []v1alpha1.NodeVerdict{
					gen.Reachable("a"), gen.Unreachable("b"), gen.Unknown("c", "Pending"), gen.Excused(gen.Reachable("d")),
				}
			}),
			want: v1alpha1.ExposedAppStatus{
				NodePort: 31000, Replicas: 4, ReadyReplicas: 2, ReplicasSummary: "2/5",
				Reachability: &v1alpha1.ReachabilitySummary{Expected: 3, Reachable: 1, Summary: "1/3"},
			},
		},
		"the Service holds another port than the one shown": {
			options: []gen.Option{shown}, seen: &Observed{Service: gen.ServiceHolding(30004)},
			want: v1alpha1.ExposedAppStatus{
				NodePort: 30004, ReplicasSummary: "0/1", Reachability: &v1alpha1.ReachabilitySummary{Summary: "0/0"},
			},
		},
		"the Service is gone, and its port is kept in mind": {
			options: []gen.Option{shown}, seen: &Observed{},
			want: v1alpha1.ExposedAppStatus{
				NodePort: 30003, ReplicasSummary: "0/1", Reachability: &v1alpha1.ReachabilitySummary{Summary: "0/0"},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := Of(gen.ExposedApp("web", append(test.options, gen.WithIdentity("9f3c", 4))...), test.seen, gen.At(0))
			g.Expect(got.Nodes).To(HaveLen(len(test.seen.Verdicts)))
			got.Conditions, got.Nodes = nil, nil
			test.want.ObservedGeneration, test.want.Selector = 4, "exposedapp.dev/name=web"
			g.Expect(got).To(Equal(test.want))
		})
	}
}

func TestNeededNodes(t *testing.T) {
	tests := []struct {
		minimum        string
		expected, want int32
	}{
		{"100%", 3, 3}, {"100%", 0, 1},
		{"50%", 4, 2}, {"50%", 3, 2}, {"50%", 1, 1}, {"50%", 0, 1},
		{"1%", 5000, 50}, {"1%", 3, 1}, {"34%", 3, 2},
		{"0%", 3, 0}, {"0%", 0, 0},
		{"0", 3, 0}, {"2", 3, 2}, {"4", 3, 4}, {"2", 0, 2},
		// The CRD admits none of these: all nodes must answer then.
		{"half", 3, 3}, {"half", 0, 1},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s of %d", test.minimum, test.expected), func(t *testing.T) {
			app := gen.ExposedApp("web", gen.WithMinReachable(intstr.Parse(test.minimum)))
			NewWithT(t).Expect(neededNodes(app, test.expected)).To(Equal(test.want))
		})
	}
	t.Run("not said", func(t *testing.T) {
		NewWithT(t).Expect(neededNodes(&v1alpha1.ExposedApp{}, 3)).To(BeEquivalentTo(3))
	})
}

func TestWorstFirst(t *testing.T) {
	t.Run("what needs attention is first, then by name and family", func(t *testing.T) {
		g := NewWithT(t)
		six := gen.Reachable("g")
		six.Family = corev1.IPv6Protocol
		listed, omitted := worstFirst([]v1alpha1.NodeVerdict{
			six, gen.Reachable("h"), gen.Reachable("g"), gen.Excused(gen.Unreachable("f")), gen.Excused(gen.Reachable("e")), gen.Unknown("d", "Pending"),
			gen.Unknown("c", "NoObserver"), gen.Unreachable("b"), gen.Unreachable("a"),
		}, nil, gen.At(0))
		g.Expect(omitted).To(BeZero())
		var order []string
		for _, verdict := range listed {
			order = append(order, verdict.Node+" "+string(verdict.Family))
		}
		g.Expect(order).To(Equal([]string{
			"a IPv4", "b IPv4", "c IPv4", "d IPv4", "e IPv4", "f IPv4", "g IPv4", "g IPv6", "h IPv4",
		}))
	})

	t.Run("what is beyond the bound is counted", func(t *testing.T) {
		for total, wanted := range map[int]struct{ listed, omitted int }{0: {}, 24: {24, 0}, 25: {24, 1}, 5000: {24, 4976}} {
			g := NewWithT(t)
			verdicts := make([]v1alpha1.NodeVerdict, 0, total)
			for i := range total {
				verdicts = append(verdicts, gen.Unknown(fmt.Sprintf("node-%d", i), "Pending"))
			}
			if total > 0 {
				verdicts[total-1] = gen.Unreachable("zzz")
			}
			listed, omitted := worstFirst(verdicts, nil, gen.At(0))
			g.Expect(listed).To(HaveLen(wanted.listed))
			g.Expect(omitted).To(BeEquivalentTo(wanted.omitted))
			if total > 0 {
				g.Expect(listed[0].Node).To(Equal("zzz"), "the worst is never left out")
			}
		}
	})

	t.Run("nodes that just answer are listed where all have room alone", func(t *testing.T) {
		suspect := withReason(gen.Reachable("s"), "SuspectObserver")
		for total, wanted := range map[int]struct{ listed, omitted int }{24: {24, 0}, 25: {3, 22}, 5000: {3, 4997}} {
			g := NewWithT(t)
			verdicts := []v1alpha1.NodeVerdict{suspect, gen.Unreachable("u"), gen.Excused(gen.Reachable("e"))}
			for i := len(verdicts); i < total; i++ {
				verdicts = append(verdicts, gen.Reachable(fmt.Sprintf("node-%d", i)))
			}
			listed, omitted := worstFirst(verdicts, nil, gen.At(0))
			g.Expect(listed).To(HaveLen(wanted.listed))
			g.Expect(omitted).To(BeEquivalentTo(wanted.omitted))
			g.Expect(names(listed[:3])).To(Equal([]string{"u", "e", "s"}))
		}
	})

	t.Run("the names of two families of nodes may be too long for all", func(t *testing.T) {
		g := NewWithT(t)
		var verdicts []v1alpha1.NodeVerdict
		for i := range maxNodes {
			verdicts = append(verdicts, gen.Reachable(strings.Repeat("x", 250)+fmt.Sprint(i)))
		}
		verdicts[maxNodes-1] = gen.Unreachable("u")
		listed, omitted := worstFirst(verdicts, nil, gen.At(0))
		g.Expect(names(listed)).To(Equal([]string{"u"}))
		g.Expect(omitted).To(BeEquivalentTo(maxNodes - 1))
	})

	t.Run("a time moves with the state alone", func(t *testing.T) {
		g := NewWithT(t)
		six := gen.Reachable("a")
		six.Family = corev1.IPv6Protocol
		before, _ := worstFirst([]v1alpha1.NodeVerdict{gen.Reachable("a"), gen.Unreachable("b"), gen.Unknown("c", "Pending")}, nil, gen.At(0))
		again := gen.Unreachable("b")
		again.Reason, again.Message, again.Expected = "ConnectionRefused", "other", false
		listed, _ := worstFirst([]v1alpha1.NodeVerdict{gen.Reachable("a"), six, again, gen.Reachable("c"), gen.Reachable("d")}, before, gen.At(1))
		times := make(map[string]int)
		for _, verdict := range listed {
			times[verdict.Node+" "+string(verdict.Family)] = verdict.LastTransitionTime.Minute()
		}
		g.Expect(times).To(Equal(map[string]int{"a IPv4": 0, "a IPv6": 1, "b IPv4": 0, "c IPv4": 1, "d IPv4": 1}))
	})

	t.Run("a message is cut, and what was judged stays as it is", func(t *testing.T) {
		g := NewWithT(t)
		verdict := gen.Unreachable("a")
		verdict.Message = strings.Repeat("x", 1000)
		judged := []v1alpha1.NodeVerdict{gen.Reachable("b"), verdict}
		listed, _ := worstFirst(judged, nil, gen.At(0))
		g.Expect(listed[0].Message).To(HaveLen(maxNodeMessage))
		g.Expect(judged).To(Equal([]v1alpha1.NodeVerdict{gen.Reachable("b"), verdict}))
	})
}

// The verdicts of far more nodes than are listed do not all tell why. Those that are listed
// do, also where the IP families of a Service are not in the order of the list.
func TestListedNodesAreExplained(t *testing.T) {
	g := NewWithT(t)
	now, web := time.Now(), types.NamespacedName{Name: "web"}
	state := reachability.NewState()
	report := &v1alpha1.NodeReachability{
		Spec: v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10, ClusterSize: 100},
		Status: v1alpha1.NodeReachabilityStatus{
			ServicesResourceVersion: "1", RenewTime: new(metav1.NewMicroTime(now)), NodePorts: "31000",
		},
	}
	var nodes []reachability.Node
	for i := range 100 {
		node := reachability.Node{Name: fmt.Sprintf("node-%02d", i), Ready: true, Addresses: map[corev1.IPFamily]netip.Addr{
			corev1.IPv4Protocol: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}),
			corev1.IPv6Protocol: netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(i)}),
		}}
		nodes = append(nodes, node)
		target := v1alpha1.Target{Node: node.Name}
		for _, address := range node.Addresses {
			target.Addresses = append(target.Addresses, address.String())
		}
		report.Spec.Targets = append(report.Spec.Targets, target)
		report.Status.Addresses = append(report.Status.Addresses, target.Addresses...)
	}
	// Of the first node's addresses one answers, so the list ends with half of a node.
	report.Status.Failures = []v1alpha1.ProbeFailure{{
		Reason: "ConnectionRefused", Message: "raw error", NodePorts: "31000",
		Addresses: slices.DeleteFunc(slices.Clone(report.Status.Addresses), func(address string) bool {
			return address == "10.0.0.0"
		}),
	}}
	state.SetNodes(nodes)
	for _, node := range []string{"node-98", "node-99"} {
		report.Name = node
		received := reachability.Read(report.DeepCopy())
		g.Expect(received.Err()).NotTo(HaveOccurred())
		state.Fold(received, now)
	}
	state.SetApp(web, reachability.App{
		Service: reachability.Service{NodePort: 31000}, ResourceVersion: "1", Known: true, Period: 5 * time.Second,
		Families: []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol},
		Endpoints: reachability.Endpoints{
			{Family: corev1.IPv4Protocol, Node: "node-00", Ready: true},
			{Family: corev1.IPv6Protocol, Node: "node-00", Ready: true},
		},
	}, now)
	verdicts, _ := verdict.Append(nil, state, web, now)
	g.Expect(verdicts).To(HaveLen(200))
	g.Expect(verdicts[len(verdicts)-1].Message).To(BeEmpty())

	for _, row := range worstOf(verdicts, maxNodes) {
		g.Expect(row.Message).To(ContainSubstring("raw error"))
		g.Expect(row.Observers).To(Equal("0/2"))
	}
	g.Expect(worstVerdict(verdicts).Message).NotTo(BeEmpty())
}

func names(verdicts []v1alpha1.NodeVerdict) (names []string) {
	for i := range verdicts {
		names = append(names, verdicts[i].Node)
	}
	return names
}

// The largest status that there can be: every node has a name of the greatest
// length and a message beyond all bounds, and so have the conditions.
func TestStatusIsSmall(t *testing.T) {
	g := NewWithT(t)
	long := strings.Repeat("x", 2000)
	seen := healthy(func(seen *Observed) {
		seen.DeploymentError = applyerror.Of("Deployment", errors.New(long))
		seen.ServiceError = &applyerror.Error{Reason: "PortConflict", Message: long, Stalled: true}
		seen.Verdicts = nil
		for i := range 5000 {
			verdict := gen.Unreachable(fmt.Sprintf("%04d", i) + long[:249])
			verdict.Family, verdict.Address = corev1.IPv6Protocol, "2001:0db8:0000:0000:0000:0000:0000:0001"
			verdict.Reason, verdict.Message = "PartiallyReachable", long
			seen.Verdicts = append(seen.Verdicts, verdict)
		}
	})
	app := gen.ExposedApp(long[:63], gen.WithNodePort(31001), gen.WithReplicas(10000), gen.WithIdentity("9f3c", 1<<40))
	text, err := json.Marshal(Of(app, seen, gen.At(0)))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(text)).To(BeNumerically("<=", 10_000))
}
