package workload

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/test/gen"
)

func TestOfFormerApp(t *testing.T) {
	app := gen.ExposedApp("web", gen.WithIdentity("new", 1))
	owned := func(change func(*metav1.OwnerReference)) *corev1.Service {
		service := gen.AppService("web", 31000)
		service.OwnerReferences[0].UID = "old"
		change(&service.OwnerReferences[0])
		return service
	}
	for name, tc := range map[string]struct {
		change func(*metav1.OwnerReference)
		want   bool
	}{
		"of a former one":       {func(*metav1.OwnerReference) {}, true},
		"of this one":           {func(o *metav1.OwnerReference) { o.UID = "new" }, false},
		"of another":            {func(o *metav1.OwnerReference) { o.Name = "cart" }, false},
		"of another kind":       {func(o *metav1.OwnerReference) { o.Kind = "Gateway" }, false},
		"of another group":      {func(o *metav1.OwnerReference) { o.APIVersion = "example.com/v1" }, false},
		"not under its control": {func(o *metav1.OwnerReference) { o.Controller = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(OfFormerApp(owned(tc.change), app)).To(Equal(tc.want))
		})
	}
}
