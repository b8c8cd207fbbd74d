package v1alpha1_test

import (
	"testing"

	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/test/gen"
)

func TestScale(t *testing.T) {
	g := NewWithT(t)
	app := gen.ExposedApp("scaled", gen.WithReplicas(2))
	store(t, app)
	app.Status.ObservedGeneration, app.Status.Replicas, app.Status.Selector = 1, 2, "exposedapp.dev/name=scaled"
	g.Expect(k8s.Status().Update(t.Context(), app)).To(Succeed())

	scale := &autoscalingv1.Scale{}
	g.Expect(k8s.SubResource("scale").Get(t.Context(), app, scale)).To(Succeed())
	g.Expect(scale.Spec.Replicas).To(Equal(int32(2)))
	g.Expect(scale.Status).To(Equal(autoscalingv1.ScaleStatus{Replicas: 2, Selector: "exposedapp.dev/name=scaled"}))

	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":5}}`))
	g.Expect(k8s.SubResource("scale").Patch(t.Context(), app, patch, client.WithSubResourceBody(scale))).To(Succeed())
	g.Expect(scale.Spec.Replicas).To(Equal(int32(5)))
	g.Expect(k8s.Get(t.Context(), client.ObjectKeyFromObject(app), app)).To(Succeed())
	g.Expect(*app.Spec.App.Replicas).To(Equal(int32(5)))
	g.Expect(app.Generation).To(Equal(int64(2)), "the operator has something to do")
	g.Expect(app.Status.Replicas).To(Equal(int32(2)))
}
