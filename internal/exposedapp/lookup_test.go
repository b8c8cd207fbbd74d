package exposedapp

import (
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

// claims finds the apps that ask for a node port, as in the cache of an operator.
func claims(g *WithT, apps ...*v1alpha1.ExposedApp) lookup[*v1alpha1.ExposedApp] {
	objects := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{
		"nodePort": func(object any) ([]string, error) { return claimedPort(object.(*v1alpha1.ExposedApp)), nil },
	})
	for _, app := range apps {
		g.Expect(objects.Add(app)).To(Succeed())
	}
	return lookup[*v1alpha1.ExposedApp]{objects, "nodePort"}
}

func TestLookup(t *testing.T) {
	g := NewWithT(t)
	a, b := gen.ExposedApp("a", gen.WithNodePort(30001)), gen.ExposedApp("b", gen.WithNodePort(30001))
	found := claims(g, a, b, gen.ExposedApp("c", gen.WithNodePort(30002)), gen.ExposedApp("d"))
	g.Expect(found.find("30001")).To(ConsistOf(BeIdenticalTo(a), BeIdenticalTo(b)), "those of the cache, no copies")
	g.Expect(found.find("30003")).To(BeEmpty())

	found.name = "unknown"
	_, err := found.find("30001")
	g.Expect(err).To(MatchError(ContainSubstring("look up by unknown")))
}

// Of many that ask for a node port the oldest has it, and all others name that one.
func TestOlderClaim(t *testing.T) {
	g, now := NewWithT(t), clocktesting.NewFakePassiveClock(at(10).Time)
	var apps []*v1alpha1.ExposedApp
	for i, name := range []string{"c", "a", "b"} {
		app := gen.ExposedApp(name, gen.WithNodePort(30001), gen.WithIdentity(types.UID(name), 1))
		app.CreationTimestamp = at(i)
		app.Status = status(app, &observed{serviceRefusal: taken(30001)}, at(i))
		apps = append(apps, app)
	}
	claim := func(app *v1alpha1.ExposedApp) *refusal {
		return (&Reconciler{claims: claims(g, apps...), Clock: now}).olderClaim(app, 30001)
	}
	g.Expect(claim(apps[0])).To(BeNil())
	for _, app := range apps[1:] {
		for range 10 {
			g.Expect(claim(app).message).To(HavePrefix("30001 is claimed by ExposedApp default/c, "))
			g.Expect(claim(app).isStalled()).To(BeFalse(), "it will pass")
			g.Expect(claim(app).pause()).NotTo(BeZero())
		}
	}
	for _, out := range []func(*v1alpha1.ExposedApp){
		func(app *v1alpha1.ExposedApp) { app.Spec.Suspend = new(true) },
		func(app *v1alpha1.ExposedApp) { app.DeletionTimestamp = new(metav1.Now()) },
		func(app *v1alpha1.ExposedApp) {
			app.Status = status(app, &observed{serviceRefusal: nameConflict("Service", "default", "c")}, at(8))
		},
	} {
		rest := slices.Clone(apps)
		rest[0] = apps[0].DeepCopy()
		out(rest[0])
		found := (&Reconciler{claims: claims(g, rest...), Clock: now}).olderClaim(apps[2], 30001)
		g.Expect(found.message).To(HavePrefix("30001 is claimed by ExposedApp default/a, "))
	}
}
