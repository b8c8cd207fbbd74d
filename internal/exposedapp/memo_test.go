package exposedapp

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
)

func TestMemo(t *testing.T) {
	const asWanted, other = digest(1), digest(3)
	web := childKey{app: types.NamespacedName{Namespace: "shop", Name: "web"}, kind: "Deployment"}
	declared := declaration{app: "app", generation: 1}
	type live struct {
		version string
		owned   digest
	}
	rendered := 0
	wanted := func() digest {
		rendered++
		return asWanted
	}
	ask := func(m *memo, declared declaration, child live) bool {
		return m.asDeclared(web, declared, child.owned, child.version, wanted)
	}

	t.Run("what is as wanted is rendered once per declaration", func(t *testing.T) {
		g, m := NewWithT(t), newMemo()
		rendered = 0
		g.Expect(ask(m, declared, live{"7", asWanted})).To(BeTrue())
		g.Expect(ask(m, declared, live{"8", asWanted})).To(BeTrue())
		g.Expect(ask(m, declared, live{"9", other})).To(BeFalse())
		g.Expect(ask(m, declared, live{"9", 0})).To(BeFalse())
		g.Expect(rendered).To(Equal(1))
		for i, changed := range []declaration{{app: "other", generation: 1}, {app: "app", generation: 2}} {
			g.Expect(ask(m, changed, live{"7", asWanted})).To(BeTrue())
			g.Expect(rendered).To(Equal(2 + i))
		}
	})
	t.Run("what an apply brought about is as declared, however it is written", func(t *testing.T) {
		g, m := NewWithT(t), newMemo()
		m.applied(web, declared, new("7"))
		g.Expect(ask(m, declared, live{"7", other})).To(BeTrue())
		g.Expect(ask(m, declared, live{"8", other})).To(BeTrue())
		g.Expect(ask(m, declared, live{"9", asWanted})).To(BeFalse())
	})
	t.Run("what came after an apply is compared with what is wanted", func(t *testing.T) {
		g, m := NewWithT(t), newMemo()
		m.applied(web, declared, new("7"))
		g.Expect(ask(m, declared, live{"8", other})).To(BeFalse())
		m.applied(web, declared, new("9"))
		g.Expect(ask(m, declared, live{"10", asWanted})).To(BeTrue())
	})
	t.Run("what cannot be told is not as declared", func(t *testing.T) {
		g, m := NewWithT(t), newMemo()
		g.Expect(m.asDeclared(web, declared, 0, "7", func() digest { return 0 })).To(BeFalse())
	})
	t.Run("an app that is gone leaves nothing behind", func(t *testing.T) {
		g, m := NewWithT(t), newMemo()
		m.applied(web, declared, new("7"))
		m.forget(web)
		g.Expect(m.entries).To(BeEmpty())
	})
}
