package agent

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

func rechecked(round int64) func(v1alpha1.NodeReachabilityStatus) bool {
	return func(s v1alpha1.NodeReachabilityStatus) bool { return s.RecheckRound == round }
}

// ask gives the loop a request for newer results.
func (b *bubble) ask(r *v1alpha1.NodeReachability, round int64, nodePorts string, addresses ...string) {
	r.Generation++
	r.Spec.Recheck = &v1alpha1.Recheck{Round: round, NodePorts: nodePorts, Addresses: addresses}
	b.follow(r)
}

// TestRecheckIsAnswered: at once where all is as it was, and with what is new
// where it is not.
func TestRecheckIsAnswered(t *testing.T) {
	for _, tc := range []struct {
		name   string
		does   behaviour
		before bool // whether it does so before the request, too
		within time.Duration
		fails  bool
	}{
		{"reached", behaviour{}, true, 110 * time.Millisecond, false},
		{"refused, as before", behaviour{result: refused()}, true, 110 * time.Millisecond, true},
		{"dropped, as before", behaviour{after: time.Hour}, true, 2110 * time.Millisecond, true},
		{"refused since", behaviour{result: refused()}, false, 210 * time.Millisecond, true},
		{"dropped since", behaviour{after: time.Hour}, false, 2410 * time.Millisecond, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(_ *testing.T, b *bubble) {
				r := b.amongNodes(2, 2)
				if tc.before {
					b.make(one, tc.does)
					b.wait(time.Minute)
				}
				// Neither the turn of the pair nor a write is near.
				before := b.dialled(one)
				for b.dialled(one) == before {
					b.wait(time.Millisecond)
				}
				b.wait(2500 * time.Millisecond)
				b.make(one, tc.does)
				other := b.dialled("10.0.0.2:30001")
				b.ask(r, 7, "30000", "10.0.0.1", "10.0.0.77")
				took := b.until(rechecked(7))
				b.g.Expect(took).To(BeNumerically("<=", tc.within))
				b.g.Expect(fails(b.last())).To(Equal(tc.fails))
				b.g.Expect(b.last().Pending).To(BeEmpty())
				b.g.Expect(b.dialled("10.0.0.2:30001")-other).To(BeNumerically("<=", 2), "it was not asked for")
				b.wait(time.Minute)
				b.g.Expect(b.last().RecheckRound).To(BeEquivalentTo(7), "heartbeats carry it on")
			})
		})
	}
}

// TestRecheckNeedsNewerResults: the answer to a probe that was under way when the
// request came does not do.
func TestRecheckNeedsNewerResults(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		r := b.amongNodes(2, 1)
		b.makeAll(2, 1, behaviour{after: 1500 * time.Millisecond})
		b.wait(20 * time.Second)
		before := b.lastDial(one)
		for b.lastDial(one).Equal(before) {
			b.wait(time.Millisecond)
		}
		b.wait(200 * time.Millisecond)
		asked := time.Now()
		b.ask(r, 1, "30000", "10.0.0.1")
		b.until(rechecked(1))
		newest, _ := b.newest()
		b.g.Expect(newest.at.Sub(asked)).To(BeNumerically(">=", 1500*time.Millisecond))
		b.g.Expect(newest.at.Sub(asked)).To(BeNumerically("<=", 3*time.Second), "after the other has ended")
	})
}

func TestRecheckIgnores(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		r := b.amongNodes(1, 1)
		b.ask(r, 5, "30000", "10.0.0.1")
		b.until(rechecked(5))

		b.ask(r, 4, "30000", "10.0.0.1")
		b.wait(20 * time.Second)
		b.g.Expect(b.last().RecheckRound).To(BeEquivalentTo(5), "an older round")
		b.g.Expect(b.logs).To(BeEmpty())

		b.ask(r, 6, "30000-", "10.0.0.1")
		b.ask(r, 6, "30000-", "10.0.0.1")
		b.wait(20 * time.Second)
		b.g.Expect(b.logs).To(HaveLen(1), "node ports that cannot be read")
		b.ask(r, 7, "30000", "node")
		b.wait(20 * time.Second)
		b.g.Expect(b.logs).To(HaveLen(2), "addresses that cannot be read")
		b.g.Expect(b.last().RecheckRound).To(BeEquivalentTo(5))

		b.ask(r, 8, "30000", "10.0.0.1")
		b.until(rechecked(8))
	})
}

// TestRecheckOfWhatVanishes: a pair that is gone keeps nobody waiting, be it from
// the start or in the middle.
func TestRecheckOfWhatVanishes(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		r := b.amongNodes(1, 1)
		b.ask(r, 1, "31000", "10.0.0.1")
		b.g.Expect(b.until(rechecked(1))).To(BeNumerically("<=", 1100*time.Millisecond))

		b.make(one, behaviour{after: time.Hour})
		b.ask(r, 2, "30000", "10.0.0.1")
		b.wait(100 * time.Millisecond)
		b.list("8")
		b.g.Expect(b.until(rechecked(2))).To(BeNumerically("<=", 1100*time.Millisecond))
	})
}

// TestRecheckReplaced: the later request is answered when the earlier is as well.
func TestRecheckReplaced(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		r := b.amongNodes(2, 1)
		b.make(one, behaviour{after: 1500 * time.Millisecond})
		asked := time.Now()
		b.ask(r, 1, "30000", "10.0.0.1")
		b.wait(200 * time.Millisecond)
		b.ask(r, 2, "30000", "10.0.0.2")
		b.until(rechecked(2))
		newest, _ := b.newest()
		b.g.Expect(newest.at.Sub(asked)).To(BeNumerically(">=", 1500*time.Millisecond))
		for _, w := range b.reports() {
			b.g.Expect(w.status.RecheckRound).NotTo(BeEquivalentTo(1))
		}
	})
}

// TestRecheckAfterRestart: the agent finds the request there, and its first
// report answers it. It waits for the Services, without which there is no pair.
func TestRecheckAfterRestart(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		r := &v1alpha1.NodeReachability{}
		r.Spec.Targets = []v1alpha1.Target{{Node: "a", Addresses: []string{"10.0.0.1"}}}
		b.make(one, behaviour{after: 1500 * time.Millisecond})
		b.ask(r, 3, "30000", "10.0.0.1")
		b.wait(time.Second)
		b.list("7", onPorts(30000)...)
		b.wait(1400 * time.Millisecond)
		b.g.Expect(b.reports()).To(BeEmpty())
		b.wait(300 * time.Millisecond)
		b.g.Expect(b.reports()).To(HaveLen(1))
		b.g.Expect(b.last().RecheckRound).To(BeEquivalentTo(3))
		b.g.Expect(b.last()).To(Satisfy(clean))
	})
}

// TestRecheckKeepsOffVacantPorts: a port that changed hands is not dialled before
// its time, whoever asks.
func TestRecheckKeepsOffVacantPorts(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		r := b.amongNodes(1, 1)
		other := onPorts(30000)[0]
		other.Key.Name, other.UID = "other", "2"
		before := b.dialled(one)
		b.list("8", other)
		b.ask(r, 1, "30000", "10.0.0.1")
		b.wait(portReuseDelay - 10*time.Millisecond)
		b.g.Expect(b.dialled(one)).To(Equal(before))
		b.g.Expect(b.last().RecheckRound).To(BeZero())
		b.until(rechecked(1))
		b.g.Expect(b.last()).To(Satisfy(clean))
	})
}
