package exposedapp

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestWantedPort(t *testing.T) {
	shown := func(app *v1alpha1.ExposedApp) { app.Status.NodePort = 30003 }
	tests := map[string]struct {
		options []gen.Option
		live    *corev1.Service
		want    int32
	}{
		"any, at first":       {want: 0},
		"the one in the spec": {options: []gen.Option{gen.WithNodePort(30001)}, want: 30001},
		"the one in the spec, before all others": {
			options: []gen.Option{gen.WithNodePort(30001), shown}, live: serviceHolding(30002), want: 30001,
		},
		"the one that the Service was given": {live: serviceHolding(30002), want: 30002},
		"the one that it was given once, whatever others made of the Service": {
			options: []gen.Option{shown}, live: serviceHolding(30002), want: 30003,
		},
		"the one shown, when the Service is gone":       {options: []gen.Option{shown}, want: 30003},
		"the one shown, when the Service has no port":   {options: []gen.Option{shown}, live: &corev1.Service{}, want: 30003},
		"the one shown, when the Service holds no port": {options: []gen.Option{shown}, live: serviceHolding(0), want: 30003},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(wantedPort(gen.ExposedApp("web", test.options...), test.live)).To(Equal(test.want))
		})
	}
}

func TestHeldPorts(t *testing.T) {
	g := NewWithT(t)
	g.Expect(heldPorts(&corev1.Service{})).To(BeEmpty())
	g.Expect(heldPorts(&corev1.Service{Spec: corev1.ServiceSpec{
		Ports:               []corev1.ServicePort{{NodePort: 30001}, {Port: 80}, {NodePort: 30002}},
		HealthCheckNodePort: 30003,
	}})).To(Equal([]int32{30001, 30002, 30003}))
}

func TestOlder(t *testing.T) {
	g := NewWithT(t)
	early, late := gen.ExposedApp("z"), gen.ExposedApp("a")
	early.CreationTimestamp, late.CreationTimestamp = at(0), at(1)
	g.Expect(older(early, late)).To(BeTrue())
	g.Expect(older(late, early)).To(BeFalse())

	late.CreationTimestamp = early.CreationTimestamp
	early.UID, late.UID = "1", "2"
	g.Expect(older(early, late)).To(BeTrue(), "of the same second, by what nobody can choose")
	g.Expect(older(late, early)).To(BeFalse())
	g.Expect(older(early, early)).To(BeFalse(), "an app is no rival of its own")
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
			g, service := NewWithT(t), serviceHolding(0)
			service.Spec.Ports = tc.ports
			g.Expect(heldPort(service)).To(Equal(tc.want))
			identity := subject(gen.ExposedApp("web"), &observed{service: service}).Service
			g.Expect(identity.NodePort).To(Equal(tc.want))
			if tc.want != 0 {
				g.Expect(identity.Port).To(BeEquivalentTo(80))
			}
		})
	}
	NewWithT(t).Expect(heldPort(nil)).To(BeZero())
}
