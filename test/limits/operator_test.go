//go:build !race

package limits

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/test/gen"
)

func testOperator(t *testing.T, api client.Client, kubeconfig string) {
	g := NewWithT(t)
	ctx := t.Context()
	g.Expect(api.Create(ctx, gen.ExposedApp("early", gen.WithNodePort(31011)))).To(Succeed())

	operator := program{
		name:        "operator",
		args:        []string{"--kubeconfig=" + kubeconfig, "--metrics-bind-address=0", "--health-probe-bind-address=0"},
		environment: []string{"GOMEMLIMIT=142MiB", "GOGC=40"}, limit: 192 << 20,
	}
	process := run(t, operator)
	exposes := func(name string, nodePort int32) {
		t.Helper()
		follows(t, name, func(g Gomega) {
			var service corev1.Service
			g.Expect(api.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, &service)).To(Succeed())
			g.Expect(service.Spec.Ports[0].NodePort).To(Equal(nodePort))
		})
	}
	exposes("early", 31011)
	g.Expect(api.Create(ctx, gen.ExposedApp("late", gen.WithNodePort(31012)))).To(Succeed())
	exposes("late", 31012)
	staysWithin(t, process, operator.limit)
}
