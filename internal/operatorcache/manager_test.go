package operatorcache

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/ssa"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestReplicasManager(t *testing.T) {
	const replicas = `{"f:spec":{"f:replicas":{}}}`
	entry := func(manager, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: subresource,
			FieldsV1: metav1.NewFieldsV1(fields),
		}
	}
	own := entry(v1alpha1.OperatorName, "", replicas)
	own.Operation = metav1.ManagedFieldsOperationApply
	for name, test := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		"nobody":              {},
		"the operator":        {entries: []metav1.ManagedFieldsEntry{own}},
		"both, of one number": {entries: []metav1.ManagedFieldsEntry{entry("kubectl", "scale", replicas), own}},
		"who sets other fields": {
			entries: []metav1.ManagedFieldsEntry{entry("kubectl", "", `{"f:spec":{"f:paused":{}}}`)},
		},
		"kubectl scale": {entries: []metav1.ManagedFieldsEntry{entry("kubectl", "scale", replicas)}, want: `"kubectl"`},
		"an autoscaler": {
			entries: []metav1.ManagedFieldsEntry{entry("kube-controller-manager", "scale", replicas)},
			want:    "a HorizontalPodAutoscaler (kube-controller-manager)",
		},
		"a name that is none": {
			entries: []metav1.ManagedFieldsEntry{entry("a\x1b\n"+strings.Repeat("b", 100), "", replicas)},
			want:    `"a ` + strings.Repeat("b", 59) + `…"`,
		},
		"what cannot be read": {entries: []metav1.ManagedFieldsEntry{entry("kubectl", "", "{"), {Manager: "none"}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			live := gen.RolledOut(5)
			live.ManagedFields = test.entries
			g.Expect(replicasManager(live, ssa.NewFieldSets())).To(Equal(test.want))
		})
	}
}
