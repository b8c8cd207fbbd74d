package exposedapp

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/ssa"
	"github.com/exposedapp/exposedapp/test/gen"
)

// What was decided is asked again when it is another question, or after a while.
func TestDecided(t *testing.T) {
	g, d, now := NewWithT(t), newDecisions(), gen.At(0).Time
	key := ssa.ChildKey{App: types.NamespacedName{Namespace: "shop", Name: "web"}, Kind: "Service"}
	asked := question{Declaration: ssa.Declaration{App: "app", Generation: 1}, nodePort: 31000, version: "7"}
	refusal := applyerror.Of("Service", gen.InvalidField())
	g.Expect(d.on(key, asked, now)).To(BeNil())
	g.Expect(d.note(key, asked, refusal, now)).To(BeIdenticalTo(refusal))
	g.Expect(d.on(key, asked, now.Add(refusal.RetryAfter-1))).To(BeIdenticalTo(refusal))
	g.Expect(d.on(key, asked, now.Add(refusal.RetryAfter))).To(BeNil())
	for _, change := range []func(*question){
		func(q *question) { q.Generation++ }, func(q *question) { q.nodePort++ }, func(q *question) { q.version = "8" },
		func(q *question) { q.App = "next" },
	} {
		other := asked
		change(&other)
		g.Expect(d.on(key, other, now)).To(BeNil())
	}
	g.Expect(d.note(key, asked, applyerror.Of("Service", errors.New("busy")), now)).NotTo(BeNil())
	g.Expect(d.on(key, asked, now)).To(BeNil(), "an error is no decision")
	d.note(key, asked, refusal, now)
	d.forget(key)
	g.Expect(d.made).To(BeEmpty())
}
