package agent

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// TestFrozen stops the loop, and with it the process as far as it can tell. It
// knows nothing any more then, and the timeouts that ran out meanwhile say
// nothing.
func TestFrozen(t *testing.T) {
	freeze := func(b *bubble, d time.Duration) {
		b.loop.post(func(time.Duration) { time.Sleep(d) })
	}
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.amongNodes(2, 2)
		b.make(one, behaviour{after: 1990 * time.Millisecond})
		before := b.lastDial(one)
		for b.lastDial(one).Equal(before) {
			b.wait(time.Millisecond)
		}
		// Two probes are under way that will be silent.
		b.make(one, behaviour{after: time.Hour})
		b.wait(hedgeDelay + 10*time.Millisecond)
		freeze(b, 30*time.Second)
		b.wait(29 * time.Second)
		reports := len(b.reports())
		b.make("10.0.0.2:30001", behaviour{after: time.Hour})
		b.wait(5 * time.Second)
		b.g.Expect(b.reports()).To(HaveLen(reports), "it waits for all pairs")
		b.until(fails)
		b.g.Expect(b.last().Pending).To(BeEmpty())
		b.g.Expect(saysReached(b.last(), "10.0.0.1")).To(Equal(1))
		b.g.Expect(saysReached(b.last(), "10.0.0.2")).To(Equal(1))
		b.g.Expect(b.logs).To(HaveLen(1))
	})
	t.Run("not long", func(t *testing.T) {
		inBubble(t, func(_ *testing.T, b *bubble) {
			b.amongNodes(2, 2)
			freeze(b, 8*time.Second)
			b.wait(20 * time.Second)
			for _, w := range b.reports() {
				b.g.Expect(w.status).To(Satisfy(clean))
			}
			b.g.Expect(b.logs).To(BeEmpty())
		})
	})
	t.Run("for one heartbeat at most", func(t *testing.T) {
		inBubble(t, func(_ *testing.T, b *bubble) {
			b.amongNodes(2, 2)
			services := onPorts(30000, 30001)
			services[0].Probe.Timeout = time.Minute
			b.list("8", services...)
			b.wait(12 * time.Second)
			freeze(b, 30*time.Second)
			b.wait(29 * time.Second)
			b.make(one, behaviour{after: time.Hour})
			reports := len(b.reports())
			b.wait(10 * time.Second)
			b.g.Expect(b.reports()).To(HaveLen(reports))
			b.wait(2 * time.Second)
			b.g.Expect(b.reports()).To(HaveLen(reports + 1))
			b.g.Expect(b.last().Pending).To(HaveLen(1))
			b.g.Expect(saysReached(b.last(), "10.0.0.1")).To(Equal(1))
		})
	})
}
