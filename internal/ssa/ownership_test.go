package ssa

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// What is the operator's and nobody else's goes with its next apply.
func TestOwnedBy(t *testing.T) {
	g := NewWithT(t)
	item := fieldpath.MakePathOrDie("spec", "ports", fieldpath.KeyByFields("port", 8080, "protocol", "TCP"))
	entry := func(manager string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const theirs = `{"f:spec":{"f:ports":{"k:{\"port\":8080,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{}},"k:{\"port\":9797,\"protocol\":\"TCP\"}":{".":{}}}}}`
	before := []metav1.ManagedFieldsEntry{
		entry(v1alpha1.OperatorName, metav1.ManagedFieldsOperationApply, `{"f:spec":{"f:type":{}}}`),
		entry("kubectl-patch", metav1.ManagedFieldsOperationUpdate, theirs),
		entry("kubectl-edit", metav1.ManagedFieldsOperationUpdate,
			`{"f:spec":{"f:ports":{"k:{\"port\":8080,\"protocol\":\"TCP\"}":{"f:name":{}}}}}`),
	}
	after, err := TakeOver(before, fieldpath.NewSet(item), "v1")
	g.Expect(err).NotTo(HaveOccurred())
	fields := map[string][]string{}
	for _, entry := range after {
		owned, err := fieldsOf(entry)
		g.Expect(err).NotTo(HaveOccurred())
		fields[entry.Manager] = paths(owned)
	}
	g.Expect(fields).To(HaveLen(2), "who owns nothing more is left out")
	g.Expect(fields["kubectl-patch"]).To(ConsistOf(`.spec.ports[port=9797,protocol="TCP"]`))
	g.Expect(fields[v1alpha1.OperatorName]).To(ConsistOf(".spec.type", item.String()))

	after, err = TakeOver(before[2:], fieldpath.NewSet(item), "v1")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(after).To(ConsistOf(SatisfyAll(HaveField("Manager", v1alpha1.OperatorName),
		HaveField("Operation", metav1.ManagedFieldsOperationApply), HaveField("APIVersion", "v1"))))
}

func paths(fields *fieldpath.Set) (paths []string) {
	for path := range fields.All() {
		paths = append(paths, path.String())
	}
	return paths
}
