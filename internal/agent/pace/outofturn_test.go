package pace_test

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/agent/pace"
	"github.com/exposedapp/exposedapp/internal/agent/workers"
)

// TestRequests plays events and the probes for them, and looks at when the next are due.
func TestRequests(t *testing.T) {
	node := pace.Subject{Why: pace.SweepNode, Address: netip.MustParseAddr("10.0.0.1")}
	app := pace.Subject{Why: pace.RecheckEndpoints, Port: 30000}
	self := pace.Subject{Why: pace.CheckSelf}
	for _, tc := range []struct {
		name  string
		calls func(q pace.Requests)
		want  time.Duration
	}{
		{"nothing", func(pace.Requests) {}, workers.Never},
		{"a self-check is at once", func(q pace.Requests) { q.Add(time.Second, self, netip.AddrPort{}) }, time.Second},
		{"and no more than 64 pairs per second", func(q pace.Requests) {
			q.Add(0, self, netip.AddrPort{})
			q.Done(0, self, 16)
			q.Add(time.Millisecond, self, netip.AddrPort{})
		}, 250 * time.Millisecond},
		{"a node after 2 s", func(q pace.Requests) { q.Add(0, node, netip.AddrPort{}) }, 2 * time.Second},
		{"of the first of several events", func(q pace.Requests) {
			q.Add(0, node, netip.AddrPort{})
			q.Add(time.Second, node, netip.AddrPort{})
		}, 2 * time.Second},
		{"and not again for 30 s", func(q pace.Requests) {
			q.Add(0, node, netip.AddrPort{})
			q.Done(2*time.Second, node, 10)
			q.Prune(3 * time.Second)
			q.Add(3*time.Second, node, netip.AddrPort{})
		}, 32 * time.Second},
		{"unless there was no reason to", func(q pace.Requests) {
			q.Add(0, node, netip.AddrPort{})
			q.Done(2*time.Second, node, 0)
			q.Add(3*time.Second, node, netip.AddrPort{})
		}, 5 * time.Second},
		{"endpoints after 300 ms", func(q pace.Requests) { q.Add(0, app, netip.AddrPort{}) }, 300 * time.Millisecond},
		{"and once more if they changed again right before", func(q pace.Requests) {
			q.Add(0, app, netip.AddrPort{})
			q.Add(250*time.Millisecond, app, netip.AddrPort{})
			q.Done(300*time.Millisecond, app, 1)
		}, 1300 * time.Millisecond},
		{"of each subject on its own", func(q pace.Requests) {
			q.Add(0, node, netip.AddrPort{})
			q.Add(0, app, netip.AddrPort{})
			q.Done(300*time.Millisecond, app, 1)
		}, 2 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := pace.Requests{}
			tc.calls(q)
			NewWithT(t).Expect(q.Deadline()).To(Equal(tc.want))
		})
	}
}

// TestRequestsAreForgotten when their pause is over, so that there are never more than
// subjects of late.
func TestRequestsAreForgotten(t *testing.T) {
	q, app := pace.Requests{}, pace.Subject{Why: pace.RecheckEndpoints, Port: 30000}
	q.Add(0, app, netip.AddrPort{})
	q.Done(300*time.Millisecond, app, 1)
	q.Prune(time.Second)
	NewWithT(t).Expect(q).To(HaveLen(1))
	q.Prune(1300 * time.Millisecond)
	NewWithT(t).Expect(q).To(BeEmpty())
}

func TestSpread(t *testing.T) {
	const limit = 128
	for _, tc := range []struct {
		name          string
		why           pace.Reason
		pairs         int
		clusterFactor float64
		want          time.Duration
	}{
		{"witnesses are asked at once", pace.CheckSelf, 16, 5, 0},
		{"the ports of a node at 250 per second", pace.SweepNode, 1000, 1, 4 * time.Second},
		{"a recheck that fits into the workers at once", pace.Recheck, limit, 1, 0},
		{"a larger one at 500 per second", pace.Recheck, limit + 1000, 1, 2 * time.Second},
		{"what all observers see at once on a small cluster", pace.RecheckEndpoints, 9, 1, 0},
		{"and on a large one", pace.RecheckEndpoints, 9, 3, 4 * time.Second},
		{"as with a new Service", pace.Begin, 1, 3, 4 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			NewWithT(t).Expect(pace.AllowanceOf(tc.why, limit).Spread(tc.pairs, tc.clusterFactor)).To(Equal(tc.want))
		})
	}
}
