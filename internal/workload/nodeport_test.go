package workload

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
			options: []gen.Option{gen.WithNodePort(30001), shown}, live: gen.ServiceHolding(30002), want: 30001,
		},
		"the one that the Service was given": {live: gen.ServiceHolding(30002), want: 30002},
		"the one that it was given once, whatever others made of the Service": {
			options: []gen.Option{shown}, live: gen.ServiceHolding(30002), want: 30003,
		},
		"the one shown, when the Service is gone":       {options: []gen.Option{shown}, want: 30003},
		"the one shown, when the Service has no port":   {options: []gen.Option{shown}, live: &corev1.Service{}, want: 30003},
		"the one shown, when the Service holds no port": {options: []gen.Option{shown}, live: gen.ServiceHolding(0), want: 30003},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(WantedPort(gen.ExposedApp("web", test.options...), test.live)).To(Equal(test.want))
		})
	}
}

func TestHeldPorts(t *testing.T) {
	g := NewWithT(t)
	g.Expect(HeldPorts(&corev1.Service{})).To(BeEmpty())
	g.Expect(HeldPorts(&corev1.Service{Spec: corev1.ServiceSpec{
		Ports:               []corev1.ServicePort{{NodePort: 30001}, {Port: 80}, {NodePort: 30002}},
		HealthCheckNodePort: 30003,
	}})).To(Equal([]int32{30001, 30002, 30003}))
}
