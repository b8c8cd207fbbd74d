package operatorcache

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestTrimApp(t *testing.T) {
	g := NewWithT(t)
	app := gen.ExposedApp("web")
	app.OwnerReferences, app.Finalizers = []metav1.OwnerReference{{Kind: "Other"}}, []string{"example.com/x"}
	app.ManagedFields, app.Labels = []metav1.ManagedFieldsEntry{{Manager: v1alpha1.OperatorName}}, map[string]string{"team": "blue"}
	app.Status.Conditions = append(make([]metav1.Condition, 0, 4), metav1.Condition{Type: v1alpha1.ConditionReady})
	app.Status.Nodes = append(make([]v1alpha1.NodeVerdict, 0, 4), gen.Reachable("a"), gen.Reachable("b"))
	want := app.DeepCopy()
	want.ManagedFields, want.Labels, want.OwnerReferences, want.Finalizers = nil, nil, nil, nil
	trimApp(app)
	g.Expect(app).To(Equal(want))
	g.Expect(app.Status.Conditions).To(HaveCap(1))
	g.Expect(app.Status.Nodes).To(HaveCap(2))
}
