package operatorcache

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestRemark(t *testing.T) {
	for name, kept := range map[string]CompactMeta{
		"a digest and a text": {Digest: 1<<63 | 7, Text: "{}"},
		"a digest":            {Digest: 7},
		"a text":              {Text: "web"},
		"nothing":             {},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			object := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
				Name: "web", Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"note": "x"},
				ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
			}}
			kept.Store(object)
			g.Expect(CompactMetaOf(object)).To(Equal(kept))
			g.Expect(object.ObjectMeta).To(And(HaveField("Labels", BeNil()), HaveField("Annotations", BeNil()),
				HaveField("ManagedFields", BeNil())))
			g.Expect(trimmed(object)).To(BeTrue())
		})
	}
	t.Run("an object that was never trimmed has none", func(t *testing.T) {
		g := NewWithT(t)
		for _, prefix := range []string{"", "web-", "web-of-many-a-letter-"} {
			object := &metav1.ObjectMeta{GenerateName: prefix}
			g.Expect(trimmed(object)).To(BeFalse())
			g.Expect(CompactMetaOf(object)).To(BeZero())
		}
	})
	t.Run("no API server takes one for a generateName", func(t *testing.T) {
		NewWithT(t).Expect(validation.IsDNS1123Label(compactPrefix + "web")).NotTo(BeEmpty())
	})
}
