package agent

import (
	"net/netip"
	"time"

	"github.com/exposedapp/exposedapp/internal/budget"
)

const (
	// kinDelay is the time until the other ports of an address are looked at. By
	// then the same port of other addresses has been.
	kinDelay = 2 * time.Second

	// kinPause is the least time between two such looks at an address.
	kinPause = 30 * time.Second

	// kinRate is how many pairs they make due per second.
	kinRate = budget.PerAgent / 2
)

// kin is what happened to one pair of an address and may happen to the others:
// where the periods are long, a node that fails, or is back, is thus known in
// seconds on all of its ports.
type kin struct {
	// port is that of the pair which turned, and due when to look at the others,
	// never if there is no reason to.
	port uint16
	due  time.Duration
	// next is when the pause after the last look is over.
	next time.Duration
}

// tellKin takes note that p turned.
func (s *schedule) tellKin(now time.Duration, p *pair) {
	if !s.foreign(p.address) || p.state == translated || p.state == ownHost {
		return
	}
	k, known := s.kin[p.address]
	if known && k.due != never {
		return
	}
	s.kin[p.address] = kin{port: p.row.service.port, due: max(now+kinDelay, k.next), next: k.next}
	if p.state == failing {
		s.askElsewhere(now, p)
	}
}

// askElsewhere makes the same port of other nodes due, as far as it is called reached.
func (s *schedule) askElsewhere(now time.Duration, p *pair) {
	for i := range p.row.pairs {
		if other := &p.row.pairs[i]; other.state == reached && other.inFlight == 0 && s.foreign(other.address) {
			s.hasten(other, now)
		}
	}
}

// kinDue returns when there is an address to look at.
func (s *schedule) kinDue() time.Duration {
	due := never
	for _, k := range s.kin {
		due = min(due, k.due)
	}
	return due
}

// lookAtKin makes those pairs of an address due, soon, of which what is known is
// not what another turned to, or nothing because their dials ended elsewhere. An app that fails everywhere tells nothing of the
// others.
func (s *schedule) lookAtKin(now time.Duration) {
	for address, k := range s.kin {
		if k.due > now {
			continue
		}
		k.due = never
		p := s.pair(netip.AddrPortFrom(address, k.port))
		if p != nil && (p.state == reached || p.state == failing && s.answersElsewhere(p)) {
			k.next = now + kinPause
			s.hastenKin(now, p)
		}
		s.kin[address] = k
	}
}

func (s *schedule) hastenKin(now time.Duration, turned *pair) {
	outdated := failing
	if turned.state == failing {
		outdated = reached
	}
	var others []*pair
	for port := range s.rows {
		if p := s.pair(netip.AddrPortFrom(turned.address, port)); p.state == outdated || p.state == translated {
			others = append(others, p)
		}
	}
	for _, p := range others {
		s.hasten(p, now+share(time.Duration(len(others))*time.Second/kinRate, p.phase))
	}
}

// answersElsewhere tells whether another node answers on the port of p.
func (s *schedule) answersElsewhere(p *pair) bool {
	for i := range p.row.pairs {
		if other := &p.row.pairs[i]; other.state == reached && s.foreign(other.address) {
			return true
		}
	}
	return false
}
