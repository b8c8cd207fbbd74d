package reporter_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// TestPacer: what each call makes of the time of the next report, with numbers
// that are random at their middle.
func TestPacer(t *testing.T) {
	const large = 300 * time.Second
	const scatter = (large - protocol.PromptHeartbeat) / 60
	for _, tc := range []struct {
		name    string
		settled bool
		calls   func(*reporter.Pacer)
		want    time.Duration
	}{
		{"nothing to tell", true, func(*reporter.Pacer) {}, reporter.Never},
		{"a first report", true, func(p *reporter.Pacer) { p.Note(0, false) }, 100 * time.Millisecond},
		{"a first report that waits for proof", false, func(p *reporter.Pacer) { p.Note(0, false) }, 10 * time.Second},
		{"a failure", false, func(p *reporter.Pacer) { p.Note(time.Second, true) }, 1100 * time.Millisecond},
		{"the first of two changes", true, func(p *reporter.Pacer) {
			p.Note(time.Second, true)
			p.Note(2*time.Second, true)
		}, 1100 * time.Millisecond},
		{"a heartbeat", true, func(p *reporter.Pacer) { p.Wrote(time.Second) }, 10500 * time.Millisecond},
		{"a new app after a report", false, func(p *reporter.Pacer) {
			p.Wrote(0)
			p.Note(time.Second, false)
		}, 3 * time.Second},
		{"a change just after another", true, func(p *reporter.Pacer) {
			p.Note(0, true)
			p.Write(100 * time.Millisecond)
			p.Wrote(120 * time.Millisecond)
			p.Note(200*time.Millisecond, true)
		}, 1100 * time.Millisecond},
		{"a change just after a heartbeat", true, func(p *reporter.Pacer) {
			p.Write(0)
			p.Wrote(0)
			p.Note(200*time.Millisecond, true)
		}, 300 * time.Millisecond},
		{"a failed write", true, func(p *reporter.Pacer) { p.Failed(time.Second) }, 1375 * time.Millisecond},
		{"the third failed write", true, func(p *reporter.Pacer) {
			p.Failed(0)
			p.Failed(0)
			p.Failed(time.Second)
		}, 2500 * time.Millisecond},
		{"a change while writes fail", true, func(p *reporter.Pacer) {
			p.Failed(time.Second)
			p.Note(time.Second, true)
		}, 1375 * time.Millisecond},
		{"changes of the past", true, func(p *reporter.Pacer) {
			p.Note(0, true)
			p.Forget()
		}, reporter.Never},
		{"a new beginning", false, func(p *reporter.Pacer) {
			p.Wrote(0)
			p.Restart(time.Second)
		}, 11 * time.Second},
		{"a failure on a large cluster", true, func(p *reporter.Pacer) {
			p.Follow(0, large)
			p.Note(0, true)
		}, scatter + reporter.Debounce},
		{"a heartbeat of a large cluster", true, func(p *reporter.Pacer) {
			p.Follow(0, large)
			p.Wrote(0)
		}, 285 * time.Second},
		{"a cluster that shrinks", true, func(p *reporter.Pacer) {
			p.Follow(0, large)
			p.Wrote(0)
			p.Follow(time.Second, protocol.PromptHeartbeat)
		}, 11 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pacer := reporter.NewPacer(func() float64 { return 0.5 })
			tc.calls(&pacer)
			NewWithT(t).Expect(pacer.Due(tc.settled)).To(BeNumerically("~", tc.want, time.Microsecond))
		})
	}
}

func TestPacerBegins(t *testing.T) {
	g := NewWithT(t)
	pacer := reporter.NewPacer(func() float64 { return 0 })
	pacer.Failed(0)
	g.Expect(pacer.Begun()).To(BeFalse())
	pacer.Wrote(0)
	g.Expect(pacer.Begun()).To(BeTrue())
	pacer.Restart(0)
	g.Expect(pacer.Begun()).To(BeFalse())
}

func TestPacerPatience(t *testing.T) {
	g := NewWithT(t)
	p := reporter.NewPacer(func() float64 { return 0.5 })
	g.Expect(p.WriteTimeout()).To(Equal(10 * time.Second))
	p.Follow(0, 300*time.Second)
	// By default the API server has a request wait for 15 seconds, and cuts it off after 60.
	g.Expect(p.WriteTimeout()).To(And(BeNumerically(">", 30*time.Second), BeNumerically("<", 60*time.Second)))
}
