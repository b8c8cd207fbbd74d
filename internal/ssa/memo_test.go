package ssa

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
)

func TestMemo(t *testing.T) {
	const asWanted, other = Digest(1), Digest(3)
	web := ChildKey{App: types.NamespacedName{Namespace: "shop", Name: "web"}, Kind: "Deployment"}
	declared := Declaration{App: "app", Generation: 1}
	type live struct {
		version string
		owned   Digest
	}
	rendered := 0
	wanted := func() Digest {
		rendered++
		return asWanted
	}
	ask := func(m *Memo, declared Declaration, child live) bool {
		return m.AsDeclared(web, declared, child.owned, child.version, wanted)
	}

	t.Run("what is as wanted is rendered once per declaration", func(t *testing.T) {
		g, m := NewWithT(t), NewMemo()
		rendered = 0
		g.Expect(ask(m, declared, live{"7", asWanted})).To(BeTrue())
		g.Expect(ask(m, declared, live{"8", asWanted})).To(BeTrue())
		g.Expect(ask(m, declared, live{"9", other})).To(BeFalse())
		g.Expect(ask(m, declared, live{"9", 0})).To(BeFalse())
		g.Expect(rendered).To(Equal(1))
		for i, changed := range []Declaration{{App: "other", Generation: 1}, {App: "app", Generation: 2}} {
			g.Expect(ask(m, changed, live{"7", asWanted})).To(BeTrue())
			g.Expect(rendered).To(Equal(2 + i))
		}
	})
	t.Run("what an apply brought about is as declared, however it is written", func(t *testing.T) {
		g, m := NewWithT(t), NewMemo()
		m.Applied(web, declared, new("7"))
		g.Expect(ask(m, declared, live{"7", other})).To(BeTrue())
		g.Expect(ask(m, declared, live{"8", other})).To(BeTrue())
		g.Expect(ask(m, declared, live{"9", asWanted})).To(BeFalse())
	})
	t.Run("what came after an apply is compared with what is wanted", func(t *testing.T) {
		g, m := NewWithT(t), NewMemo()
		m.Applied(web, declared, new("7"))
		g.Expect(ask(m, declared, live{"8", other})).To(BeFalse())
		m.Applied(web, declared, new("9"))
		g.Expect(ask(m, declared, live{"10", asWanted})).To(BeTrue())
	})
	t.Run("what cannot be told is not as declared", func(t *testing.T) {
		g, m := NewWithT(t), NewMemo()
		g.Expect(m.AsDeclared(web, declared, 0, "7", func() Digest { return 0 })).To(BeFalse())
	})
	t.Run("an app that is gone leaves nothing behind", func(t *testing.T) {
		g, m := NewWithT(t), NewMemo()
		m.Applied(web, declared, new("7"))
		m.Forget(web)
		g.Expect(m.entries).To(BeEmpty())
	})
}
