package v1alpha1_test

import (
	"encoding/json"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	applyv1alpha1 "github.com/exposedapp/exposedapp/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

// What is applied with the generated types arrives, comes back the same, and
// goes when it is applied no more.
func TestApplyConfiguration(t *testing.T) {
	g := NewWithT(t)
	full := gen.ExposedApp("applied", gen.WithNodePort(31000), gen.WithReplicas(3), gen.WithEnv("GREETING", "hello"))
	configuration := func() *applyv1alpha1.ExposedAppApplyConfiguration {
		text, err := json.Marshal(full.Spec)
		g.Expect(err).NotTo(HaveOccurred())
		spec := applyv1alpha1.ExposedAppSpec()
		g.Expect(json.Unmarshal(text, spec)).To(Succeed())
		return applyv1alpha1.ExposedApp(full.Name, full.Namespace).WithSpec(spec)
	}
	app := &v1alpha1.ExposedApp{ObjectMeta: metav1.ObjectMeta{Namespace: full.Namespace, Name: full.Name}}
	apply := func(wanted *applyv1alpha1.ExposedAppApplyConfiguration) {
		g.Expect(k8s.Apply(t.Context(), wanted)).To(Succeed())
		g.Expect(k8s.Get(t.Context(), client.ObjectKeyFromObject(app), app)).To(Succeed())
	}
	apply(configuration())
	remove(t, app)
	g.Expect(app.Spec).To(Equal(full.Spec))
	g.Expect(app.Generation).To(Equal(int64(1)))

	extracted, err := applyv1alpha1.ExtractExposedApp(app, "test")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(extracted).To(Equal(configuration()))
	apply(extracted)
	g.Expect(app.Generation).To(Equal(int64(1)), "what is the same is no change")

	fewer := configuration()
	fewer.Spec.NodePort, fewer.Spec.App.Env, fewer.Spec.App.Replicas = nil, nil, nil
	apply(fewer)
	g.Expect(app.Spec).To(Equal(gen.ExposedApp("applied").Spec), "defaults take the place of what is gone")
}

func TestApplyConfigurationOfTheStatus(t *testing.T) {
	g := NewWithT(t)
	app := gen.ExposedApp("status-applied")
	store(t, app)
	configuration := func() *applyv1alpha1.ExposedAppApplyConfiguration {
		return applyv1alpha1.ExposedApp(app.Name, app.Namespace).WithStatus(applyv1alpha1.ExposedAppStatus().
			WithObservedGeneration(1).WithReplicas(0).WithNodes(
			applyv1alpha1.NodeVerdict().WithNode("a").WithFamily(corev1.IPv4Protocol).
				WithExpected(false).WithState(v1alpha1.NodeReachable),
			applyv1alpha1.NodeVerdict().WithNode("a").WithFamily(corev1.IPv6Protocol).
				WithExpected(true).WithState(v1alpha1.NodeUnknown)))
	}
	g.Expect(k8s.Status().Apply(t.Context(), configuration())).To(Succeed())
	g.Expect(k8s.Get(t.Context(), client.ObjectKeyFromObject(app), app)).To(Succeed())
	g.Expect(app.Status).To(Equal(v1alpha1.ExposedAppStatus{
		ObservedGeneration: 1,
		Nodes: []v1alpha1.NodeVerdict{
			{Node: "a", Family: corev1.IPv4Protocol, State: v1alpha1.NodeReachable},
			{Node: "a", Family: corev1.IPv6Protocol, Expected: true, State: v1alpha1.NodeUnknown},
		},
	}))
	extracted, err := applyv1alpha1.ExtractExposedAppStatus(app, "test")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(extracted).To(Equal(configuration()))
}
