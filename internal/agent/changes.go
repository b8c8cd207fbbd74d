package agent

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/internal/budget"
)

// setService takes a new or changed Service and tells whether its form differs
// from the one known. If so, nothing found before counts for it.
func (s *schedule) setService(now time.Duration, svc service) bool {
	if port, ok := s.ports[svc.key]; ok && s.rows[port].service == svc {
		return false
	}
	s.deleteService(now, svc.key)
	if r, ok := s.rows[svc.port]; ok {
		s.deleteService(now, r.service.key)
	}
	r := &row{service: svc}
	s.fill(r)
	s.rows[svc.port] = r
	s.tracking.sought = false
	s.ports[svc.key] = svc.port
	s.weigh(r, 1)

	start := now
	if before, ok := s.vacancies[svc.port]; ok {
		if before.uid != svc.uid || before.routing != svc.routing {
			start = max(now, before.settled)
		}
		delete(s.vacancies, svc.port)
	}
	r.opens = start
	for i := range r.pairs {
		s.enter(start, &r.pairs[i])
	}
	return true
}

// deleteService forgets a Service and tells whether it was known.
func (s *schedule) deleteService(now time.Duration, key types.NamespacedName) bool {
	port, ok := s.ports[key]
	if !ok {
		return false
	}
	r := s.rows[port]
	for i := range r.pairs {
		s.leave(&r.pairs[i])
	}
	delete(s.rows, port)
	s.tracking.sought = false
	delete(s.ports, key)
	delete(s.stirs, port)
	s.weigh(r, -1)

	maps.DeleteFunc(s.vacancies, func(_ uint16, v vacancy) bool { return v.settled <= now })
	s.vacancies[port] = vacancy{r.service.uid, r.service.routing, now + settleTime}
	return true
}

// replaceServices takes all Services there are, and tells whether any differs.
func (s *schedule) replaceServices(now time.Duration, services []service) bool {
	gone := maps.Clone(s.ports)
	for _, svc := range services {
		delete(gone, svc.key)
	}
	changed := len(gone) > 0
	for key := range gone {
		s.deleteService(now, key)
	}
	for _, svc := range services {
		changed = s.setService(now, svc) || changed
	}
	return changed
}

// assign takes the addresses to dial, ascending, and the heartbeat. Pairs of
// addresses that stay keep what is known of them.
func (s *schedule) assign(now time.Duration, addresses []netip.Addr, heartbeat time.Duration) {
	s.heartbeat = heartbeat
	if slices.Equal(s.addresses, addresses) {
		return
	}
	before := s.addresses
	s.addresses = addresses
	s.paths.follow(addresses)
	maps.DeleteFunc(s.kin, func(address netip.Addr, _ kin) bool { return !slices.Contains(addresses, address) })
	var fresh []*pair
	for _, r := range s.rows {
		old := r.pairs
		s.fill(r)
		for i := range r.pairs {
			p := &r.pairs[i]
			if j, ok := slices.BinarySearchFunc(before, p.address, netip.Addr.Compare); ok {
				s.move(&old[j], p)
			} else {
				fresh = append(fresh, p)
			}
		}
		for i := range old {
			s.leave(&old[i])
		}
	}
	s.weighAll()
	for _, p := range fresh {
		s.enter(max(now, p.row.opens), p)
	}
}

// takeTurns takes this node's turns in the periods of the addresses.
func (s *schedule) takeTurns(turns map[netip.Addr]uint32) {
	if maps.Equal(s.turns, turns) {
		return
	}
	s.turns = turns
	for port, r := range s.rows {
		for i := range r.pairs {
			r.pairs[i].phase = s.phase(netip.AddrPortFrom(r.pairs[i].address, port))
		}
	}
}

// resize takes the number of nodes of the cluster.
func (s *schedule) resize(size int) {
	if s.size != size {
		s.size = size
		s.weighAll()
	}
}

// move makes p take the place of old, which is as if it had never been entered.
func (s *schedule) move(old, p *pair) {
	*p = *old
	if p.place != nowhere {
		s.queue[p.place] = p
	}
	old.place, old.waits, old.state = nowhere, lanes, undialled
}

// fill gives r its pairs, none of which has been entered.
func (s *schedule) fill(r *row) {
	r.pairs, r.dialled = make([]pair, len(s.addresses)), 0
	for i, address := range s.addresses {
		p := &r.pairs[i]
		p.row, p.address, p.place, p.waits = r, address, nowhere, lanes
		p.phase = s.phase(netip.AddrPortFrom(address, r.service.port))
		if r.service.dialledOn(address) {
			r.dialled++
		} else {
			p.state = undialled
		}
	}
}

// enter begins with a new pair. Its first probe is at once on a small cluster;
// on a larger one the observers of an app spread theirs.
func (s *schedule) enter(now time.Duration, p *pair) {
	if p.state == undialled {
		return
	}
	s.pending++
	s.newRound(p)
	s.plan(p, now+s.spread(p))
}

// spread returns how long p keeps from being probed when all observers of its
// app have reason to.
func (s *schedule) spread(p *pair) time.Duration {
	return share(time.Duration(float64(2*time.Second)*(s.crowd()-1)), p.phase)
}

// leave ends with a pair.
func (s *schedule) leave(p *pair) {
	if p.state == undialled {
		return
	}
	s.queue.take(p)
	s.workers.dismiss(p)
	s.heal(p)
	s.unlook(netip.AddrPortFrom(p.address, p.row.service.port))
	if p.state == pending {
		s.pending--
	}
}

// weigh adds r to the load, or takes it off with sign -1, and sets the stretch
// that keeps the agent's budget.
func (s *schedule) weigh(r *row, sign float64) {
	s.load += sign * float64(r.dialled) / s.allowed(r).Seconds()
	s.stretch = max(1, s.load/budget.PerAgent)
}

// weighAll does so anew, after a change that concerns every row.
func (s *schedule) weighAll() {
	s.load = 0
	for _, r := range s.rows {
		s.weigh(r, 1)
	}
}
