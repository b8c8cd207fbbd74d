//go:build !race

package limits

import (
	"net"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

func testAgent(t *testing.T, api client.Client, kubeconfig string) {
	g := NewWithT(t)
	ctx := t.Context()
	g.Expect(api.Create(ctx, honest("first", 31001))).To(Succeed())
	g.Expect(api.Create(ctx, &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: "node"},
		Spec: v1alpha1.NodeReachabilitySpec{
			HeartbeatSeconds: 1,
			Targets:          []v1alpha1.Target{{Node: "other", Addresses: []string{address(t)}}},
		},
	})).To(Succeed())

	agent := program{
		name: "agent", args: []string{"--node-name=node", "--kubeconfig=" + kubeconfig},
		environment: []string{"GOMEMLIMIT=40MiB", "GOMAXPROCS=2"}, limit: 48 << 20,
	}
	process := run(t, agent)
	dials := func(nodePorts string) {
		t.Helper()
		follows(t, nodePorts, func(g Gomega) {
			var n v1alpha1.NodeReachability
			g.Expect(api.Get(ctx, client.ObjectKey{Name: "node"}, &n)).To(Succeed())
			g.Expect(n.Status.NodePorts).To(Equal(nodePorts))
		})
	}
	dials("31001")
	g.Expect(api.Create(ctx, honest("second", 31002))).To(Succeed())
	dials("31001-31002")
	staysWithin(t, process, agent.limit)
}

// address returns one of this machine that an agent dials.
func address(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

// honest is a Service as the operator makes it.
func honest(name string, port int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceDefault, Name: name,
			Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "ExposedApp", Name: name, UID: "1", Controller: new(true),
			}},
		},
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeNodePort,
			Ports: []corev1.ServicePort{{Name: v1alpha1.PortName, Port: 80, NodePort: port}},
		},
	}
}
