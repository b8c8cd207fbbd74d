package main

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

func TestAlternate(t *testing.T) {
	g := NewWithT(t)
	g.Expect(alternate(2, 4)).To(Equal([]int{0, 1, 1, 0, 0, 1, 1, 0}))
	g.Expect(alternate(3, 2)).To(Equal([]int{0, 1, 2, 2, 1, 0}))
	g.Expect(alternate(3, 0)).To(BeEmpty())
}

func TestWitness(t *testing.T) {
	g := NewWithT(t)
	w := &witness{wanted: hasAll, seen: make(map[string]part), changed: make(chan struct{}, 1)}
	app := &v1alpha1.ExposedApp{ObjectMeta: metav1.ObjectMeta{Name: "a", Generation: 2}}
	app.Status.ObservedGeneration = 1
	child := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "a"}}

	w.see(watch.Added, child, hasDeployment)
	w.see(watch.Added, child, hasService)
	w.see(watch.Modified, app, isThere|hasStatus)
	g.Expect(w.done).To(BeEmpty(), "the status is of another generation")
	app.Status.ObservedGeneration = 2
	w.see(watch.Deleted, app, isThere|hasStatus)
	g.Expect(w.done).To(BeEmpty(), "what is gone has nothing")
	w.see(watch.Modified, app, isThere|hasStatus)
	w.see(watch.Modified, app, isThere|hasStatus)
	g.Expect(w.done).To(HaveLen(1), "seen twice, counted once")

	at, err := w.await(t.Context(), 1, time.Minute)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(at).To(Equal(w.done[0]))
	_, err = w.await(t.Context(), 2, time.Millisecond)
	g.Expect(err).To(MatchError(ContainSubstring("1 of 2 apps")))
}

func TestChildOf(t *testing.T) {
	const stat = "42 (kube-apiserver) S 7 42 42 0 -1"
	for name, test := range map[string]struct {
		stat   string
		parent int
		child  string
		is     bool
	}{
		"a child":                       {stat, 7, "kube-apiserver", true},
		"of another process":            {stat, 8, "kube-apiserver", false},
		"of another name":               {stat, 7, "etcd", false},
		"that ended":                    {"42 (kube-apiserver) Z 7 42", 7, "kube-apiserver", false},
		"with parentheses in its name":  {"42 (a) S 9 (b)) S 7 42", 7, "a) S 9 (b)", true},
		"whose line is cut off":         {"42 (kube-apis", 7, "kube-apiserver", false},
		"whose line ends with the name": {"42 (kube-apiserver)", 7, "kube-apiserver", false},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(childOf(test.stat, test.parent, test.child)).To(Equal(test.is))
		})
	}
}
