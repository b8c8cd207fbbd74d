package exposedapp_test

import (
	"context"
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// What an older schema admitted stays in the cluster, whatever the newer one says.
var _ = Describe("An ExposedApp that Go cannot decode", Serial, Ordered, func() {
	var namespace string

	BeforeAll(func(ctx context.Context) {
		namespace = newNamespace(ctx)
		admitAnyMinReachable(ctx)
	})

	It("is told so, and stops nobody else", func(ctx context.Context) {
		odd := &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": "odd", "namespace": namespace},
			"spec":     map[string]any{"minReachable": int64(3_000_000_000)},
		}}
		odd.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("ExposedApp"))
		Expect(k8s.Create(ctx, odd)).To(Succeed())
		condition := func(kind string) func(context.Context) (string, error) {
			return func(ctx context.Context) (string, error) {
				if err := k8s.Get(ctx, client.ObjectKeyFromObject(odd), odd); err != nil {
					return "", err
				}
				conditions, _, err := unstructured.NestedSlice(odd.Object, "status", "conditions")
				for _, one := range conditions {
					if fields := one.(map[string]any); fields["type"] == kind {
						return fields["status"].(string) + " " + fields["reason"].(string) + ": " + fields["message"].(string), nil
					}
				}
				return "", err
			}
		}
		told := And(HavePrefix("False InvalidApp: "), ContainSubstring("spec.minReachable"), ContainSubstring("correct that field"))
		Eventually(condition(v1alpha1.ConditionReady)).WithContext(ctx).Should(told)
		Expect(condition(v1alpha1.ConditionStalled)(ctx)).To(HavePrefix("True InvalidApp"))

		By("following others, one that was there as an operator starts included")
		first := createApp(ctx, namespace, "first")
		Eventually(hasDeployment(first)).WithContext(ctx).Should(Succeed())
		stopOperator()
		second := createApp(ctx, namespace, "second")
		startOperator()
		Eventually(hasDeployment(second)).WithContext(ctx).Should(Succeed())
		Eventually(conditionOf(second, v1alpha1.ConditionPortAllocated)).WithContext(ctx).Should(Equal("True Allocated"))

		By("writing nothing more about it")
		version := odd.GetResourceVersion()
		Consistently(condition(v1alpha1.ConditionReady)).WithContext(ctx).WithTimeout(2 * time.Second).Should(told)
		Expect(odd.GetResourceVersion()).To(Equal(version))

		By("correcting it")
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec": {"minReachable": 1}}`))
		Expect(k8s.Patch(ctx, odd, patch)).To(Succeed())
		Eventually(hasDeployment(&v1alpha1.ExposedApp{ObjectMeta: metav1.ObjectMeta{
			Name: "odd", Namespace: namespace,
		}})).WithContext(ctx).Should(Succeed())
		Eventually(condition(v1alpha1.ConditionStalled)).WithContext(ctx).Should(BeEmpty())
	})
})

func hasDeployment(app *v1alpha1.ExposedApp) func(context.Context) error {
	return func(ctx context.Context) error {
		return k8s.Get(ctx, client.ObjectKeyFromObject(app), &appsv1.Deployment{})
	}
}

// admitAnyMinReachable makes the schema that of an older release, until the end of the
// container.
func admitAnyMinReachable(ctx context.Context) {
	GinkgoHelper()
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	Expect(k8s.Get(ctx, client.ObjectKey{Name: "exposedapps.exposedapp.dev"}, crd)).To(Succeed())
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	Expect(err).NotTo(HaveOccurred())
	path := []string{"schema", "openAPIV3Schema", "properties", "spec", "properties", "minReachable", "x-kubernetes-validations"}
	strict, found, err := unstructured.NestedSlice(versions[0].(map[string]any), path...)
	Expect(found, err).To(BeTrue())
	replace := func(ctx context.Context, rules []any) {
		GinkgoHelper()
		patch, err := json.Marshal([]map[string]any{{
			"op": "replace", "value": rules,
			"path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/minReachable/x-kubernetes-validations",
		}})
		Expect(err).NotTo(HaveOccurred())
		Expect(k8s.Patch(ctx, crd, client.RawPatch(types.JSONPatchType, patch))).To(Succeed())
	}
	replace(ctx, []any{map[string]any{"rule": "true"}})
	DeferCleanup(func(ctx context.Context) { replace(ctx, strict) })
	// The API server takes a moment to admit by another schema.
	Eventually(func(ctx context.Context) error {
		probe := &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": "probe", "namespace": "default"},
			"spec":     map[string]any{"minReachable": "odd"},
		}}
		probe.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("ExposedApp"))
		return k8s.Create(ctx, probe, client.DryRunAll)
	}).WithContext(ctx).Should(Succeed())
}
