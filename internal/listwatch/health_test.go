package listwatch

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestHealth(t *testing.T) {
	g := NewWithT(t)
	now := clocktesting.NewFakeClock(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))
	health := NewHealth(now)
	services, nodes := health.Note("services"), health.Note("nodes")
	g.Expect(health.Check(nil)).To(Succeed())

	nodes("list", nil)
	services("list", nil)
	services("watch", errors.New("forbidden"))
	now.Step(20 * time.Second)
	// A reflector whose watch fails lists again, which may well succeed.
	services("list", nil)
	services("watch", errors.New("still forbidden"))
	g.Expect(health.Check(nil)).To(Succeed(), "a rollout of the API server takes as long")
	now.Step(11 * time.Second)
	g.Expect(health.Check(nil)).To(MatchError(ContainSubstring("watch services: still forbidden")))
	g.Expect(health.FailingFor()).To(Equal(map[string]time.Duration{"services": 31 * time.Second, "nodes": 0}))

	services("watch", nil)
	g.Expect(health.Check(nil)).To(Succeed())
	g.Expect(health.FailingFor()).To(HaveKeyWithValue("services", BeZero()))
}
