// Package applied plays the API server's part in a server-side apply: it notes in
// managedFields what the operator applied.
package applied

import (
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// Tree returns an object as JSON has it.
func Tree(g *WithT, object any) map[string]any {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	g.Expect(err).NotTo(HaveOccurred())
	return content
}

// Fields are those that the API server notes of an apply.
func Fields(g *WithT, wanted map[string]any) *fieldpath.Set {
	object, err := applyconfigurations.NewTypeConverter(scheme.Scheme).
		ObjectToTyped(&unstructured.Unstructured{Object: wanted})
	g.Expect(err).NotTo(HaveOccurred())
	fields, err := object.ToFieldSet()
	g.Expect(err).NotTo(HaveOccurred())
	return fields.Difference(fieldpath.NewSet(
		fieldpath.MakePathOrDie("apiVersion"), fieldpath.MakePathOrDie("kind"),
		fieldpath.MakePathOrDie("metadata", "name"), fieldpath.MakePathOrDie("metadata", "namespace"),
	))
}

// ReadInto reads an object of which the operator owns some fields.
func ReadInto(g *WithT, content map[string]any, fields *fieldpath.Set, object client.Object) error {
	text, err := fields.ToJSON()
	g.Expect(err).NotTo(HaveOccurred())
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, object); err != nil {
		return err
	}
	object.SetManagedFields([]metav1.ManagedFieldsEntry{
		{Manager: "other", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(`{"f:status":{}}`)},
		{
			Manager: v1alpha1.OperatorName, Operation: metav1.ManagedFieldsOperationApply,
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(text)),
		},
	})
	return nil
}
