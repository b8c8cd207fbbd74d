package exposedapp

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

func TestContests(t *testing.T) {
	g := NewWithT(t)
	contests, key := newContests(), types.NamespacedName{Namespace: "shop", Name: "web"}
	at := func(second int) time.Time { return at(0).Add(time.Duration(second) * time.Second) }
	scaled := func(manager string, replicas int32) *appsv1.Deployment {
		live := rolledOut(replicas)
		live.Namespace = "shop"
		remark{digest: 1, text: manager}.keep(live)
		return live
	}
	rival := func(second int) string {
		who, _ := contests.rival(key, at(second))
		return who
	}

	contests.setBack(nil, 3, at(0))
	contests.setBack(scaled("", 5), 3, at(0))
	contests.setBack(scaled("x", 3), 3, at(0))
	g.Expect(contests.apps).To(BeEmpty(), "none, nobody's, and not another number")

	contests.setBack(scaled("x", 5), 3, at(0))
	contests.setBack(scaled("x", 5), 3, at(15))
	g.Expect(rival(16)).To(BeEmpty(), "twice may be somebody who tries again")
	contests.setBack(scaled("x", 4), 3, at(30))
	who, over := contests.rival(key, at(40))
	g.Expect(who).To(Equal("x"))
	g.Expect(over).To(Equal(contestWindow-10*time.Second), "and then it may be over")
	contests.setBack(scaled("x", 5), 3, at(45))
	g.Expect(contests.apps[key].rounds).To(HaveLen(contestRounds), "no more are remembered")
	g.Expect(rival(164)).To(Equal("x"))
	g.Expect(rival(165)).To(BeEmpty())
	g.Expect(contests.apps).To(BeEmpty())

	for second := range 3 {
		contests.setBack(scaled("x", 5), 3, at(200+60*second))
	}
	g.Expect(rival(320)).To(BeEmpty(), "seldom is not again and again")
	contests.setBack(scaled("y", 5), 3, at(321))
	g.Expect(rival(321)).To(BeEmpty(), "another one")
	contests.forget(key)
	g.Expect(contests.apps).To(BeEmpty())
}

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
			live := rolledOut(5)
			live.ManagedFields = test.entries
			g.Expect(replicasManager(live, newFieldSets())).To(Equal(test.want))
		})
	}
}
