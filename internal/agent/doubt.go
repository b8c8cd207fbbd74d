package agent

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/internal/probe"
)

const (
	// sweepSize is how many pairs a doubt makes due.
	sweepSize = 16

	// sweepRate is how many pairs doubts may make due per second, on average.
	sweepRate = 64

	// doubtLimit is how long a doubt may keep a report back.
	doubtLimit = 3 * time.Second
)

// doubt is the question whether a node that does not answer is in trouble, or
// this one: a node that is cut off would otherwise accuse the others one by one,
// each at its turn, and call those reached whose turn has not come.
//
// It opens at the first sign of trouble with another node, and other nodes are
// probed out of turn. An answer to a probe that began after that settles it. If
// none comes, what was known of other nodes is proven no longer; but only if more
// than one app fell silent, and more than one address, where there are others:
// no app decides what is said of another.
type doubt struct {
	open  bool
	since time.Duration

	// swept is whether other pairs were made due.
	swept bool

	// awaited are the pairs in trouble and those made due. When all of them have
	// failed, the doubt ends.
	awaited []netip.AddrPort
}

// foreign tells whether address is another node's. What the node itself answers
// never leaves it, and so proves nothing.
func (s *schedule) foreign(address netip.Addr) bool {
	return !slices.Contains(s.own, address)
}

// trouble takes note that p, which was reached, did not answer in time, or
// failed.
func (s *schedule) trouble(now time.Duration, p *pair) {
	if p.troubled || !s.foreign(p.address) {
		return
	}
	p.troubled = true
	p.row.uneasy = now
	s.ail(p)
	if !s.doubt.open {
		s.doubt = doubt{open: true, since: now, awaited: s.doubt.awaited[:0]}
	}
	s.await(p)
	s.sweep(now)
}

func (s *schedule) await(p *pair) {
	target := netip.AddrPortFrom(p.address, p.row.service.port)
	if !slices.Contains(s.doubt.awaited, target) {
		s.doubt.awaited = append(s.doubt.awaited, target)
	}
}

// sweep makes pairs of other nodes due: up to a half of the port in trouble, then
// those of apps that were in trouble the longest ago, if ever. So apps that fall
// silent again and again are not asked about each other. It waits for its turn
// where doubts are many.
func (s *schedule) sweep(now time.Duration) {
	if s.doubt.swept || now < s.sweepable {
		return
	}
	s.doubt.swept = true
	var chosen []*pair
	usable := func(p *pair) bool {
		return p.state == reached && p.inFlight == 0 && s.foreign(p.address)
	}
	port := s.doubt.awaited[0].Port()
	if r, ok := s.rows[port]; ok {
		for i := range r.pairs {
			if p := &r.pairs[i]; usable(p) && len(chosen) < sweepSize/2 {
				chosen = append(chosen, p)
			}
		}
	}
	chosen = append(chosen, s.calmest(sweepSize-len(chosen), func(p *pair) bool {
		return usable(p) && p.row.service.port != port
	})...)
	for _, p := range chosen {
		s.hasten(p, now)
		s.await(p)
	}
	s.sweepable = now + time.Duration(len(chosen))*time.Second/sweepRate
}

// calmest returns, among those that usable picks, the n pairs of which the apps
// were in trouble the longest ago, and of these the ones that are due first.
func (s *schedule) calmest(n int, usable func(*pair) bool) []*pair {
	if n <= 0 {
		return nil
	}
	order := func(a, b *pair) int {
		return cmp.Or(cmp.Compare(a.row.uneasy, b.row.uneasy), cmp.Compare(a.due, b.due))
	}
	var first []*pair
	for _, p := range s.queue {
		if len(first) == n && order(p, first[n-1]) >= 0 || !usable(p) {
			continue
		}
		at, _ := slices.BinarySearchFunc(first, p, order)
		first = slices.Insert(first, at, p)
		first = first[:min(len(first), n)]
	}
	return first
}

// prove settles the doubt if f is an answer of another node to a probe that began
// after it.
func (s *schedule) prove(f flight, result probe.Result) {
	if s.doubt.open && result.Reached() && f.started >= s.doubt.since && s.foreign(f.target.Address.Addr()) {
		s.doubt.open = false
	}
}

// settle ends the doubt if it is time to. It tells whether pairs lost their
// proof.
func (s *schedule) settle(now time.Duration) bool {
	if !s.doubt.open {
		return false
	}
	s.sweep(now)
	failed := now >= s.doubt.since+doubtLimit
	if !failed {
		if !s.doubt.swept {
			return false
		}
		for _, target := range s.doubt.awaited {
			p := s.pair(target)
			if p != nil && p.state == reached {
				return false
			}
			// One that is gone, or could not be dialled, tells nothing.
			failed = failed || p != nil && p.state == failing
		}
	}
	s.doubt.open = false
	return failed && s.several(now) && s.disbelieve(now)
}

// several tells whether the pairs that do not answer are more than one app's and
// at more than one address, as far as others were reached.
func (s *schedule) several(now time.Duration) bool {
	var silent *pair
	apps, addresses := false, false
	for _, target := range s.doubt.awaited {
		p := s.pair(target)
		if p == nil || !p.silent(now) {
			continue
		}
		if silent == nil {
			silent = p
		}
		apps = apps || p.row != silent.row
		addresses = addresses || p.address != silent.address
	}
	if silent == nil {
		return false
	}
	for _, r := range s.rows {
		for i := range r.pairs {
			if p := &r.pairs[i]; p.state == reached && s.foreign(p.address) && !p.silent(now) {
				if r != silent.row && !apps || p.address != silent.address && !addresses {
					return false
				}
			}
		}
	}
	return true
}

// silent tells whether p was asked and did not answer in time.
func (p *pair) silent(now time.Duration) bool {
	return p.state == failing || p.troubled || p.inFlight > 1 || p.inFlight == 1 && now-p.started >= hedgeDelay
}

// settleDue returns when settle has something to do without any result.
func (s *schedule) settleDue() time.Duration {
	switch {
	case !s.doubt.open:
		return never
	case !s.doubt.swept:
		return s.sweepable
	}
	return s.doubt.since + doubtLimit
}

// disbelieve makes the pairs of other nodes that are still called reached
// pending. It tells whether there were any.
func (s *schedule) disbelieve(now time.Duration) bool {
	lost := false
	var idle []*pair
	for _, r := range s.rows {
		for i := range r.pairs {
			if p := &r.pairs[i]; p.state == reached && s.foreign(p.address) {
				s.setState(p, pending)
				p.doubted = true
				lost = true
				if p.inFlight == 0 {
					idle = append(idle, p)
				}
			}
		}
	}
	s.hastenAll(now, idle)
	return lost
}
