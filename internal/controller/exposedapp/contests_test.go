package exposedapp

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestContests(t *testing.T) {
	g := NewWithT(t)
	contests, key := newContests(), types.NamespacedName{Namespace: "shop", Name: "web"}
	at := func(second int) time.Time { return gen.At(0).Add(time.Duration(second) * time.Second) }
	scaled := func(manager string, replicas int32) *appsv1.Deployment {
		live := gen.RolledOut(replicas)
		live.Namespace = "shop"
		operatorcache.CompactMeta{Digest: 1, Text: manager}.Store(live)
		return live
	}
	rival := func(second int) string {
		who, _ := contests.rival(key, at(second))
		return who
	}

	contests.record(nil, 3, at(0))
	contests.record(scaled("", 5), 3, at(0))
	contests.record(scaled("x", 3), 3, at(0))
	g.Expect(contests.apps).To(BeEmpty(), "none, nobody's, and not another number")

	contests.record(scaled("x", 5), 3, at(0))
	contests.record(scaled("x", 5), 3, at(15))
	g.Expect(rival(16)).To(BeEmpty(), "twice may be somebody who tries again")
	contests.record(scaled("x", 4), 3, at(30))
	who, over := contests.rival(key, at(40))
	g.Expect(who).To(Equal("x"))
	g.Expect(over).To(Equal(contestWindow-10*time.Second), "and then it may be over")
	contests.record(scaled("x", 5), 3, at(45))
	g.Expect(contests.apps[key].rounds).To(HaveLen(contestRounds), "no more are remembered")
	g.Expect(rival(164)).To(Equal("x"))
	g.Expect(rival(165)).To(BeEmpty())
	g.Expect(contests.apps).To(BeEmpty())

	for second := range 3 {
		contests.record(scaled("x", 5), 3, at(200+60*second))
	}
	g.Expect(rival(320)).To(BeEmpty(), "seldom is not again and again")
	contests.record(scaled("y", 5), 3, at(321))
	g.Expect(rival(321)).To(BeEmpty(), "another one")
	contests.forget(key)
	g.Expect(contests.apps).To(BeEmpty())
}
