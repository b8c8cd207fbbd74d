package pace

import (
	"net/netip"
	"time"
)

// Rechecks is how far the operator's requests for newer results have come.
type Rechecks struct {
	// Round is that of the newest request, and Done that of the newest that was
	// carried out.
	Round, Done int64

	// open are the targets without a result that is newer than the request, and
	// when that came.
	open map[netip.AddrPort]time.Duration
}

// Begin begins with a request for targets. Those of a former request that are still open
// stay so.
func (r *Rechecks) Begin(now time.Duration, round int64, targets []netip.AddrPort) {
	r.Round = round
	if r.open == nil {
		r.open = map[netip.AddrPort]time.Duration{}
	}
	for _, target := range targets {
		r.open[target] = now
	}
	r.close()
}

// Answer takes note that target has a result of a probe that began at started. It reports
// whether that was before the request, so that a newer one is needed.
func (r *Rechecks) Answer(target netip.AddrPort, started time.Duration) bool {
	asked, ok := r.open[target]
	if !ok || started < asked {
		return ok
	}
	r.Drop(target)
	return false
}

// Drop takes a target off the request.
func (r *Rechecks) Drop(target netip.AddrPort) {
	if _, ok := r.open[target]; ok {
		delete(r.open, target)
		r.close()
	}
}

func (r *Rechecks) close() {
	if len(r.open) == 0 {
		r.Done = r.Round
	}
}
