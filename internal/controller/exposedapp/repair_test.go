package exposedapp

import (
	"context"
	"encoding/json"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/workload"
	"github.com/exposedapp/exposedapp/test/gen"
)

// What stands in the way of what is declared goes, and what others added stays. The client
// merges as the API server does, and refuses nothing.
func TestBring(t *testing.T) {
	app := gen.ExposedApp("web", gen.WithIdentity("9f3c", 1), gen.WithNodePort(31000))
	setUp := func(g *WithT, text string, child client.Object) *children {
		objects := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithReturnManagedFields().Build()
		owner := client.WithFieldOwner(objects, v1alpha1.OperatorName)
		c := &children{client: owner, direct: owner}
		g.Expect(owner.Apply(t.Context(), workload.Service(app, 31000), client.ForceOwnership)).To(Succeed())
		g.Expect(owner.Apply(t.Context(), workload.Deployment(app), client.ForceOwnership)).To(Succeed())
		child.SetNamespace(app.Namespace)
		child.SetName(app.Name)
		g.Expect(objects.Patch(t.Context(), child, client.RawPatch(types.JSONPatchType, []byte(text)),
			client.FieldOwner("kubectl-patch"))).To(Succeed())
		return c
	}
	t.Run("a Service", func(t *testing.T) {
		g, live := NewWithT(t), &corev1.Service{}
		c := setUp(g, `[{"op":"add","path":"/metadata/uid","value":"1"},
			{"op":"replace","path":"/spec/ports/0/port","value":8080},
			{"op":"add","path":"/spec/ports/0","value":{"name":"metrics","port":9797,"protocol":"TCP"}}]`, live)
		_, err := c.service(app, 31000).Bring(t.Context(), live.UID)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(c.direct.Get(t.Context(), client.ObjectKeyFromObject(app), live)).To(Succeed())
		g.Expect(live.Spec.Ports).To(ConsistOf(HaveField("Name", "metrics"), SatisfyAll(
			HaveField("Name", "http"), HaveField("Port", BeEquivalentTo(80)), HaveField("NodePort", BeEquivalentTo(31000)))))
	})
	t.Run("a Deployment", func(t *testing.T) {
		g, live := NewWithT(t), &appsv1.Deployment{}
		c := setUp(g, `[{"op":"add","path":"/metadata/uid","value":"1"},
			{"op":"replace","path":"/spec/template/spec/containers/0/ports/0/containerPort","value":8080},
			{"op":"replace","path":"/spec/template/spec/containers/0/env/0","value":{"name":"PODINFO_UI_MESSAGE","value":"hello"}},
			{"op":"replace","path":"/spec/template/spec/containers/0/livenessProbe","value":{"exec":{"command":["true"]}}},
			{"op":"add","path":"/spec/template/spec/containers/1","value":{"name":"side","image":"x"}}]`, live)
		_, err := c.deployment(app).Bring(t.Context(), live.UID)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(c.direct.Get(t.Context(), client.ObjectKeyFromObject(app), live)).To(Succeed())
		wanted := &appsv1.Deployment{}
		text, err := json.Marshal(workload.Deployment(app))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(json.Unmarshal(text, wanted)).To(Succeed())
		g.Expect(live.Spec.Template.Spec.Containers).To(ConsistOf(
			wanted.Spec.Template.Spec.Containers[0], HaveField("Name", "side")))
	})
}

// What the API server refuses, whatever a child was before, is told and not asked again.
func TestARefusedChild(t *testing.T) {
	g, app := NewWithT(t), gen.ExposedApp("web", gen.WithIdentity("9f3c", 1))
	live, asked := &appsv1.Deployment{}, 0
	objects := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithReturnManagedFields().Build()
	owner := client.WithFieldOwner(objects, v1alpha1.OperatorName)
	g.Expect(owner.Apply(t.Context(), workload.Deployment(app), client.ForceOwnership)).To(Succeed())
	live.Namespace, live.Name = app.Namespace, app.Name
	g.Expect(objects.Patch(t.Context(), live, client.RawPatch(types.JSONPatchType,
		[]byte(`[{"op":"add","path":"/metadata/uid","value":"1"}]`)))).To(Succeed())

	refusing := interceptor.NewClient(objects, interceptor.Funcs{
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			asked++
			return gen.InvalidField()
		},
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			return gen.InvalidField()
		},
	})
	c := newChildren(refusing, refusing, nil, clocktesting.NewFakePassiveClock(gen.At(0).Time))
	for range 2 {
		problem := c.applyDeployment(t.Context(), app)
		g.Expect(problem.Reason).To(Equal("InvalidApp"))
		g.Expect(problem.IsStalled()).To(BeTrue())
	}
	g.Expect(asked).To(Equal(1), "what was decided stays so for a while")
}
