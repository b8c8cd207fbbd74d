package agent

import (
	"net/netip"
	"time"

	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// recheck is how far the requests for newer results have come.
type recheck struct {
	// round is that of the newest request, and done that of the newest that was
	// carried out.
	round, done int64

	// open are the pairs without a result that is newer than the request, and
	// when that came.
	open map[netip.AddrPort]time.Duration
}

// look begins with a request, unless it is an old one. Pairs of a former request
// that are still open stay so.
func (s *schedule) look(now time.Duration, request protocol.Recheck) {
	if request.Round <= s.recheck.round {
		return
	}
	s.recheck.round = request.Round
	if s.recheck.open == nil {
		s.recheck.open = map[netip.AddrPort]time.Duration{}
	}
	var asked []*pair
	for _, address := range request.Addresses {
		for port := range request.Ports.All() {
			target := netip.AddrPortFrom(address, port)
			if p := s.pair(target); p != nil && p.state != undialled {
				s.recheck.open[target] = now
				asked = append(asked, p)
			}
		}
	}
	s.hastenAll(now, asked)
	s.closeRecheck()
}

// looked takes note that p concluded with a probe that began at started. If that
// was before the request, and no other is under way that counts, p is probed once
// more.
func (s *schedule) looked(now time.Duration, p *pair, started time.Duration) {
	target := netip.AddrPortFrom(p.address, p.row.service.port)
	asked, ok := s.recheck.open[target]
	switch {
	case !ok:
	case started >= asked:
		s.unlook(target)
	case p.inFlight == 0:
		s.hasten(p, now)
	}
}

// unlook takes a pair off the request.
func (s *schedule) unlook(target netip.AddrPort) {
	if _, ok := s.recheck.open[target]; ok {
		delete(s.recheck.open, target)
		s.closeRecheck()
	}
}

func (s *schedule) closeRecheck() {
	if len(s.recheck.open) == 0 {
		s.recheck.done = s.recheck.round
	}
}

// hastenAll makes pairs due at once, or, where there are more than can be probed
// at once, spread so that the budget is kept.
func (s *schedule) hastenAll(now time.Duration, pairs []*pair) {
	spread := time.Duration(max(0, len(pairs)-s.limit)) * time.Second / budget.PerAgent
	for _, p := range pairs {
		s.hasten(p, now+share(spread, p.phase))
	}
}

// hasten makes p due at due, if that is sooner than it is, and no sooner than a
// port that changed hands may be dialled.
func (s *schedule) hasten(p *pair, due time.Duration) {
	due = max(due, p.row.opens)
	if p.waits == lanes && (p.place == nowhere || due < p.due) {
		s.plan(p, due)
	}
}
