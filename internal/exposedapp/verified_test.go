package exposedapp

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

func ownedDeployment(change func(*appsv1.Deployment)) *appsv1.Deployment {
	live := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web", UID: "child", ResourceVersion: "7", Generation: 1,
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: v1alpha1.OperatorName, Operation: metav1.ManagedFieldsOperationApply,
			Time:     new(metav1.Unix(100, 0)),
			FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`),
		}},
	}}
	change(live)
	return live
}

func TestVerified(t *testing.T) {
	asItWas := func(*appsv1.Deployment) {}
	declared := declaration{app: "app", generation: 1}
	for name, tc := range map[string]struct {
		declared declaration
		change   func(*appsv1.Deployment)
		want     bool
	}{
		"the same":             {declared, asItWas, true},
		"another status":       {declared, func(d *appsv1.Deployment) { d.ResourceVersion = "8" }, true},
		"another generation":   {declaration{app: "app", generation: 2}, asItWas, false},
		"another app":          {declaration{app: "other", generation: 1}, asItWas, false},
		"another node port":    {declaration{app: "app", generation: 1, nodePort: 31000}, asItWas, false},
		"another child":        {declared, func(d *appsv1.Deployment) { d.UID = "new" }, false},
		"another child's name": {declared, func(d *appsv1.Deployment) { d.Name = "api" }, false},
		"a field that was taken away": {declared, func(d *appsv1.Deployment) {
			d.ResourceVersion = "8"
			d.ManagedFields[0].FieldsV1 = metav1.NewFieldsV1(`{"f:spec":{}}`)
		}, false},
		"somebody in the operator's name": {declared, func(d *appsv1.Deployment) {
			d.ResourceVersion = "8"
			d.ManagedFields[0].Time = new(metav1.NewTime(time.Unix(101, 0)))
		}, false},
		"another spec": {declared, func(d *appsv1.Deployment) { d.ResourceVersion, d.Generation = "8", 2 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			compared := newVerified()
			compared.compared("Deployment", declared, ownedDeployment(asItWas))
			g.Expect(compared.asDeclared("Deployment", tc.declared, ownedDeployment(tc.change))).To(Equal(tc.want))

			applied := newVerified()
			applied.applied(types.NamespacedName{Namespace: "shop", Name: "web"}, "Deployment", declared,
				new(types.UID("child")), new("7"))
			g.Expect(applied.asDeclared("Deployment", declared, ownedDeployment(asItWas))).To(BeTrue())
			g.Expect(applied.asDeclared("Deployment", tc.declared, ownedDeployment(tc.change))).To(Equal(tc.want))
			g.Expect(applied.asDeclared("Service", declared, ownedDeployment(asItWas))).To(BeFalse())

			applied.forget(types.NamespacedName{Namespace: "shop", Name: "web"})
			g.Expect(applied.asDeclared("Deployment", declared, ownedDeployment(asItWas))).To(BeFalse())
		})
	}
}
