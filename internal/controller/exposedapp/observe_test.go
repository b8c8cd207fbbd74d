package exposedapp

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/appstatus"
	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/workload"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestEndpoints(t *testing.T) {
	type conditions = discoveryv1.EndpointConditions
	terminating := conditions{Ready: new(false), Serving: new(true), Terminating: new(true)}
	tests := map[string]struct {
		slices []*discoveryv1.EndpointSlice
		want   reachability.Endpoints
		idle   bool // no pod is ready
	}{
		"none":                        {idle: true},
		"ready":                       {slices: slicesOf("IPv4", endpoint("a", conditions{Ready: new(true)})), want: On("a")},
		"not said, which means ready": {slices: slicesOf("IPv4", endpoint("a", conditions{})), want: On("a")},
		"not ready":                   {slices: slicesOf("IPv4", endpoint("a", conditions{Ready: new(false)})), want: On(), idle: true},
		"on its way out, still serving": {
			slices: slicesOf("IPv4", endpoint("a", terminating)),
			want:   reachability.Endpoints{{Family: corev1.IPv4Protocol, Node: "a"}}, idle: true,
		},
		"one on its way out, one ready on the node": {
			slices: slicesOf("IPv4", endpoint("a", conditions{}), endpoint("a", terminating)), want: On("a"),
		},
		"one ready of two on a node": {
			slices: slicesOf("IPv4", endpoint("a", conditions{Ready: new(false)}), endpoint("a", conditions{})), want: On("a"),
		},
		"spread over two slices, in no order": {
			slices: append(slicesOf("IPv4", endpoint("b", conditions{})), slicesOf("IPv4", endpoint("a", conditions{}))...),
			want:   On("a", "b"),
		},
		"of two families": {
			slices: append(slicesOf("IPv4", endpoint("a", conditions{})), slicesOf("IPv6", endpoint("b", conditions{}))...),
			want:   append(On("a"), reachability.Endpoint{Family: corev1.IPv6Protocol, Node: "b", Ready: true}),
		},
		"on no node": {slices: slicesOf("IPv4", discoveryv1.Endpoint{}), want: On("")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := endpointsOf(test.slices)
			g.Expect(got).To(Equal(test.want))
			g.Expect(got.Ready()).NotTo(Equal(test.idle))
		})
	}
}

func TestJudged(t *testing.T) {
	g := NewWithT(t)
	ready := gen.Node("c", "10.0.0.3", "fd00::3", "127.0.0.1")
	ready.Status.Conditions[0].LastTransitionTime = gen.At(1)
	ready.Status.Conditions = append(ready.Status.Conditions, corev1.NodeCondition{
		Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue, LastTransitionTime: gen.At(9),
	})
	silent := gen.Node("b", "10.0.0.2")
	silent.Status.Conditions[0].Status = corev1.ConditionUnknown
	silent.DeletionTimestamp = new(gen.At(2))
	fresh := gen.Node("a")
	fresh.Status.Conditions = nil

	silent.Labels = map[string]string{"type": "virtual"}

	all := []reachability.Node{
		{Name: "a", Addresses: addresses()},
		{Name: "b", Deleting: true, Addresses: addresses("10.0.0.2"), Labels: labels.Set{"type": "virtual"}},
		{Name: "c", Ready: true, ReadySince: gen.At(1).Time, Addresses: addresses("10.0.0.3", "fd00::3")},
	}
	g.Expect(nodesOf([]corev1.Node{*ready, *silent, *fresh}, nil)).To(Equal(all))
	all[1].Excluded = true
	notVirtual, err := labels.Parse("type!=virtual")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(nodesOf([]corev1.Node{*ready, *silent, *fresh}, notVirtual)).To(Equal(all))
}

func TestExpectedNodes(t *testing.T) {
	g := NewWithT(t)
	app := gen.ExposedApp("web")
	g.Expect(expectedNodes(app)).To(BeNil(), "all nodes are expected")
	app.Spec.ExpectedNodes = &metav1.LabelSelector{}
	g.Expect(expectedNodes(app).Matches(labels.Set{"type": "virtual"})).To(BeTrue(), "nothing is asked of a node")
	app.Spec.ExpectedNodes.MatchExpressions = []metav1.LabelSelectorRequirement{
		{Key: "type", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"virtual"}},
	}
	g.Expect(expectedNodes(app).Matches(labels.Set{"type": "virtual"})).To(BeFalse())
	g.Expect(expectedNodes(app).Matches(labels.Set{})).To(BeTrue())
	app.Spec.ExpectedNodes.MatchExpressions[0].Operator = "Near"
	g.Expect(expectedNodes(app)).To(BeNil(), "what cannot be read leaves out nobody")
}

func TestSubject(t *testing.T) {
	service := gen.ServiceHolding(31000)
	service.UID, service.ResourceVersion = "77aa", "42"
	operatorcache.CompactMeta{Text: "{}"}.Store(service)
	service.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}
	service.Spec.Ports[0].TargetPort = intstr.FromInt32(9898)
	want := reachability.App{
		Service: reachability.Service{
			UID: "77aa", NodePort: 31000, Port: 80, TargetPort: "9898",
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, Families: "IPv6,IPv4", Probe: "{}",
		},
		ResourceVersion: "42",
		Families:        []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol},
		Endpoints:       On("a"),
		Period:          7 * time.Second,
	}
	tests := map[string]struct {
		status v1alpha1.ExposedAppStatus
		known  bool
	}{
		"never judged":          {status: v1alpha1.ExposedAppStatus{ObservedGeneration: -1}},
		"judged on this port":   {status: v1alpha1.ExposedAppStatus{ObservedGeneration: 1, NodePort: 31000}, known: true},
		"judged on another":     {status: v1alpha1.ExposedAppStatus{ObservedGeneration: 1, NodePort: 31001}},
		"judged without a port": {status: v1alpha1.ExposedAppStatus{ObservedGeneration: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			app := gen.ExposedApp("web")
			app.Spec.Probe.PeriodSeconds = 7
			app.Status, want.Known = test.status, test.known
			NewWithT(t).Expect(appState(app, &appstatus.Observed{Service: service, Endpoints: On("a")})).To(Equal(want))
		})
	}
	t.Run("judged, and observers disagreed", func(t *testing.T) {
		app := gen.ExposedApp("web")
		app.Status.Nodes = []v1alpha1.NodeVerdict{
			{Address: "10.0.0.1", Reason: "PartiallyReachable"}, {Address: "fd00::2", Reason: "SuspectObserver"},
			{Address: "10.0.0.3", Reason: "Timeout"}, {Address: "10.0.0.4"}, {Reason: "PartiallyReachable"},
		}
		seen := appState(app, &appstatus.Observed{Service: service, Endpoints: On("a")})
		NewWithT(t).Expect(seen.Disputed).To(Equal(map[netip.Addr]bool{
			netip.MustParseAddr("10.0.0.1"): true, netip.MustParseAddr("fd00::2"): true,
		}))
	})
}

func slicesOf(family discoveryv1.AddressType, endpoints ...discoveryv1.Endpoint) []*discoveryv1.EndpointSlice {
	return []*discoveryv1.EndpointSlice{{AddressType: family, Endpoints: endpoints}}
}

func endpoint(node string, conditions discoveryv1.EndpointConditions) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{NodeName: &node, Conditions: conditions, Addresses: []string{"10.1.0.1"}}
}

// On returns the IPv4 endpoints on some nodes.
func On(nodes ...string) reachability.Endpoints {
	var endpoints reachability.Endpoints
	for _, node := range nodes {
		endpoints = append(endpoints, reachability.Endpoint{Family: corev1.IPv4Protocol, Node: node, Ready: true})
	}
	return endpoints
}

func addresses(texts ...string) map[corev1.IPFamily]netip.Addr {
	addresses := make(map[corev1.IPFamily]netip.Addr, len(texts))
	for i, text := range texts {
		addresses[[]corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}[i]] = netip.MustParseAddr(text)
	}
	return addresses
}

// Others may put ports before the app's own, give them its number, or another protocol.
func TestHeldPort(t *testing.T) {
	own := corev1.ServicePort{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30001}
	metrics := corev1.ServicePort{Name: "metrics", Protocol: corev1.ProtocolTCP, Port: 9797, NodePort: 30002}
	dns := corev1.ServicePort{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 80, NodePort: 30003}
	asUDP := own
	asUDP.Protocol = corev1.ProtocolUDP
	for name, tc := range map[string]struct {
		ports []corev1.ServicePort
		want  int32
	}{
		"alone":                {[]corev1.ServicePort{own}, 30001},
		"first":                {[]corev1.ServicePort{own, metrics, dns}, 30001},
		"last":                 {[]corev1.ServicePort{metrics, dns, own}, 30001},
		"of another kind":      {[]corev1.ServicePort{asUDP}, 0},
		"only those of others": {[]corev1.ServicePort{metrics, dns}, 0},
		"none":                 {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g, service := NewWithT(t), gen.ServiceHolding(0)
			service.Spec.Ports = tc.ports
			g.Expect(workload.HeldPort(service)).To(Equal(tc.want))
			identity := appState(gen.ExposedApp("web"), &appstatus.Observed{Service: service}).Service
			g.Expect(identity.NodePort).To(Equal(tc.want))
			if tc.want != 0 {
				g.Expect(identity.Port).To(BeEquivalentTo(80))
			}
		})
	}
	NewWithT(t).Expect(workload.HeldPort(nil)).To(BeZero())
}
