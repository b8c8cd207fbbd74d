package exposedapp

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestVerified(t *testing.T) {
	const asWanted, other = digest(1), digest(3)
	web := types.NamespacedName{Namespace: "shop", Name: "web"}
	declared := declaration{app: "app", generation: 1}
	child := func(version string, kept digest) *appsv1.Deployment {
		live := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", ResourceVersion: version}}
		remark{digest: kept}.keep(live)
		return live
	}
	rendered := 0
	wanted := func() digest {
		rendered++
		return asWanted
	}
	ask := func(v *verified, declared declaration, live *appsv1.Deployment) bool {
		return v.asDeclared("Deployment", declared, live, wanted)
	}

	t.Run("what is as wanted is rendered once per declaration", func(t *testing.T) {
		g, v := NewWithT(t), newVerified()
		rendered = 0
		g.Expect(ask(v, declared, child("7", asWanted))).To(BeTrue())
		g.Expect(ask(v, declared, child("8", asWanted))).To(BeTrue())
		g.Expect(ask(v, declared, child("9", other))).To(BeFalse())
		g.Expect(ask(v, declared, child("9", 0))).To(BeFalse())
		g.Expect(rendered).To(Equal(1))
		for i, changed := range []declaration{{app: "other", generation: 1}, {app: "app", generation: 2}} {
			g.Expect(ask(v, changed, child("7", asWanted))).To(BeTrue())
			g.Expect(rendered).To(Equal(2 + i))
		}
	})
	t.Run("what an apply brought about is as declared, however it is written", func(t *testing.T) {
		g, v := NewWithT(t), newVerified()
		v.applied(web, "Deployment", declared, new("7"))
		g.Expect(ask(v, declared, child("7", other))).To(BeTrue())
		g.Expect(ask(v, declared, child("8", other))).To(BeTrue())
		g.Expect(ask(v, declared, child("9", asWanted))).To(BeFalse())
	})
	t.Run("what came after an apply is compared with what is wanted", func(t *testing.T) {
		g, v := NewWithT(t), newVerified()
		v.applied(web, "Deployment", declared, new("7"))
		g.Expect(ask(v, declared, child("8", other))).To(BeFalse())
		v.applied(web, "Deployment", declared, new("9"))
		g.Expect(ask(v, declared, child("10", asWanted))).To(BeTrue())
	})
	t.Run("what cannot be told is not as declared", func(t *testing.T) {
		g, v := NewWithT(t), newVerified()
		g.Expect(v.asDeclared("Deployment", declared, child("7", 0), func() digest { return 0 })).To(BeFalse())
	})
	t.Run("an app that is gone leaves nothing behind", func(t *testing.T) {
		g, v := NewWithT(t), newVerified()
		v.applied(web, "Deployment", declared, new("7"))
		v.applied(web, "Service", declared, new("7"))
		v.forget(web)
		g.Expect(v.apps).To(BeEmpty())
	})
}

// What was decided is asked again when it is another matter, or after a while.
func TestDecided(t *testing.T) {
	g, v, now := NewWithT(t), newVerified(), at(0).Time
	key := childKey{types.NamespacedName{Namespace: "shop", Name: "web"}, "Service"}
	asked := matter{declaration: declaration{app: "app", generation: 1}, nodePort: 31000, version: "7"}
	refusal := refused("Service", invalidField())
	g.Expect(v.decided(key, asked, now)).To(BeNil())
	g.Expect(v.decide(key, asked, refusal, now)).To(BeIdenticalTo(refusal))
	g.Expect(v.decided(key, asked, now.Add(askSeldom-1))).To(BeIdenticalTo(refusal))
	g.Expect(v.decided(key, asked, now.Add(askSeldom))).To(BeNil())
	for _, change := range []func(*matter){
		func(m *matter) { m.generation++ }, func(m *matter) { m.nodePort++ }, func(m *matter) { m.version = "8" },
		func(m *matter) { m.app = "next" },
	} {
		other := asked
		change(&other)
		g.Expect(v.decided(key, other, now)).To(BeNil())
	}
	g.Expect(v.decide(key, asked, refused("Service", errors.New("busy")), now)).NotTo(BeNil())
	g.Expect(v.decided(key, asked, now)).To(BeNil(), "an error is no decision")
	v.decide(key, asked, refusal, now)
	v.forget(key.app)
	g.Expect(v.decisions).To(BeEmpty())
}
