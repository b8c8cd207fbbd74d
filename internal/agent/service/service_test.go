package service

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestServiceOf(t *testing.T) {
	g := NewWithT(t)
	svc, ok := Of(gen.DialledService())
	g.Expect(ok).To(BeTrue())
	g.Expect(svc.Key.String()).To(Equal("shop/web"))
	g.Expect(svc.Port).To(BeEquivalentTo(31000))
	g.Expect(svc.IPv4).To(BeTrue())
	g.Expect(svc.IPv6).To(BeFalse())
	g.Expect(svc.Probe).To(Equal(protocol.Probe{Path: "/healthz", Period: 7 * time.Second, Timeout: 3 * time.Second, Threshold: 4}))
}

// Others may add ports to the Service: they are not the app's, wherever they stand.
func TestServiceOfLeavesForeignPortsAlone(t *testing.T) {
	foreign := []corev1.ServicePort{
		{Name: "metrics", Protocol: corev1.ProtocolTCP, Port: 9797, NodePort: 31700},
		{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53, NodePort: 31701},
	}
	own := gen.DialledService().Spec.Ports
	for name, ports := range map[string][]corev1.ServicePort{
		"before it": slices.Concat(foreign, own), "after it": slices.Concat(own, foreign),
		"around it": slices.Concat(foreign[1:], own, foreign[:1]),
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			want, _ := Of(gen.DialledService())
			got, ok := Of(gen.DialledService(func(s *corev1.Service) { s.Spec.Ports = ports }))
			g.Expect(ok).To(BeTrue())
			g.Expect(got).To(Equal(want))
		})
	}
	t.Run("alone", func(t *testing.T) {
		_, ok := Of(gen.DialledService(func(s *corev1.Service) { s.Spec.Ports = foreign }))
		NewWithT(t).Expect(ok).To(BeFalse())
	})
}

func TestServiceOfIgnores(t *testing.T) {
	for name, change := range map[string]func(*corev1.Service){
		"another type":       func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer },
		"no owner":           func(s *corev1.Service) { s.OwnerReferences = nil },
		"not the controller": func(s *corev1.Service) { s.OwnerReferences[0].Controller = nil },
		"another kind":       func(s *corev1.Service) { s.OwnerReferences[0].Kind = "Gateway" },
		"another group":      func(s *corev1.Service) { s.OwnerReferences[0].APIVersion = "example.com/v1alpha1" },
		"no group":           func(s *corev1.Service) { s.OwnerReferences[0].APIVersion = "a/b/c" },
		"no ports":           func(s *corev1.Service) { s.Spec.Ports = nil },
		"no node port yet":   func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 0 },
		"UDP":                func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP },
	} {
		t.Run(name, func(t *testing.T) {
			_, ok := Of(gen.DialledService(change))
			NewWithT(t).Expect(ok).To(BeFalse())
		})
	}
}

// TestServiceForm: what makes another form of a Service, and what does not.
func TestServiceForm(t *testing.T) {
	for _, tc := range []struct {
		name   string
		same   bool
		change func(*corev1.Service)
	}{
		{"UID", false, func(s *corev1.Service) { s.UID = "2" }},
		{"node port", false, func(s *corev1.Service) { s.Spec.Ports[0].NodePort++ }},
		{"target port", false, func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromInt32(80) }},
		{"families", false, func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{"IPv4", "IPv6"} }},
		{"selector", false, func(s *corev1.Service) { s.Spec.Selector["a"] = "b" }},
		{"traffic policy", false, func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = "Local" }},
		{"probe", false, func(s *corev1.Service) { s.Annotations = nil }},
		{"label", true, func(s *corev1.Service) { s.Labels = map[string]string{"a": "b"} }},
		{"resourceVersion", true, func(s *corev1.Service) { s.ResourceVersion = "7" }},
		{"other annotation", true, func(s *corev1.Service) { s.Annotations["a"] = "b" }},
		{"status", true, func(s *corev1.Service) { s.Status.Conditions = []metav1.Condition{{}} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, _ := Of(gen.DialledService())
			after, ok := Of(gen.DialledService(tc.change))
			g := NewWithT(t)
			g.Expect(ok).To(BeTrue())
			if tc.same {
				g.Expect(after).To(Equal(before))
			} else {
				g.Expect(after).NotTo(Equal(before))
			}
		})
	}
}
