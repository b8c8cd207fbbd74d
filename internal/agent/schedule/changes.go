package schedule

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/internal/agent/pace"
	"github.com/exposedapp/exposedapp/internal/agent/selfcheck"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/agent/workers"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// Assignment is what to dial, and how often.
type Assignment struct {
	// Addresses are ascending and unique, and Own are those of the node itself.
	Addresses, Own []netip.Addr
	// Turns are this node's turns in the periods of the addresses, as fractions of 2³².
	Turns map[netip.Addr]uint32
	// Size is that of the cluster, in nodes.
	Size      int
	Heartbeat time.Duration
}

// Assign takes what to dial. Pairs of addresses that stay keep what is known of them.
func (s *Schedule) Assign(now time.Duration, a Assignment) {
	resized, rephased := a.Size != s.timing.Size, !maps.Equal(a.Turns, s.timing.Turns)
	s.timing.Size, s.timing.Turns, s.timing.Heartbeat = a.Size, a.Turns, a.Heartbeat
	if !slices.Equal(a.Own, s.own) {
		s.replaceOwn(a.Own)
	}
	if rephased {
		for p := range s.all() {
			p.phase = s.timing.Phase(p.target())
		}
	}
	moved := !slices.Equal(a.Addresses, s.addresses)
	var fresh []*pair
	if moved {
		fresh = s.replaceAddresses(a.Addresses)
	}
	if moved || resized {
		s.timing.ClearLoad()
		for _, r := range s.rows {
			s.timing.AddLoad(r.service.Probe.Period, r.dialled, 1)
		}
	}
	for _, p := range fresh {
		s.enter(now, p)
	}
}

// replaceOwn takes the addresses of the node itself. Evidence is about those of others.
func (s *Schedule) replaceOwn(own []netip.Addr) {
	for p := range s.all() {
		s.stopDiagnosing(p)
	}
	s.own = own
	for p := range s.all() {
		if p.state == failing {
			s.startDiagnosing(p)
		}
	}
}

// replaceAddresses gives every row the pairs of addresses, and returns those that are new.
func (s *Schedule) replaceAddresses(addresses []netip.Addr) (fresh []*pair) {
	before := s.addresses
	s.addresses = addresses
	s.ways.Keep(addresses)
	maps.DeleteFunc(s.requests, func(of pace.Subject, _ pace.Request) bool {
		return of.Why == pace.SweepNode && !slices.Contains(addresses, of.Address)
	})
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
	return fresh
}

// SetService takes a new or changed Service and reports whether it differs from the one
// known. If so, nothing found before counts for it.
func (s *Schedule) SetService(now time.Duration, svc service.Service) bool {
	if port, ok := s.ports[svc.Key]; ok && s.rows[port].service == svc {
		return false
	}
	s.DeleteService(now, svc.Key)
	if r, ok := s.rows[svc.Port]; ok {
		s.DeleteService(now, r.service.Key)
	}
	opens := max(now, s.recentOwners.NotBefore(svc))
	r := &row{service: svc, opens: opens, app: workers.App{Port: svc.Port, Timeout: svc.Probe.Timeout}}
	s.fill(r)
	s.rows[svc.Port] = r
	s.ports[svc.Key] = svc.Port
	s.diagnosis.Invalidate()
	s.timing.AddLoad(r.service.Probe.Period, r.dialled, 1)
	for i := range r.pairs {
		s.enter(now, &r.pairs[i])
	}
	return true
}

// DeleteService forgets a Service and reports whether it was known.
func (s *Schedule) DeleteService(now time.Duration, key types.NamespacedName) bool {
	port, ok := s.ports[key]
	if !ok {
		return false
	}
	r := s.rows[port]
	for i := range r.pairs {
		s.leave(&r.pairs[i])
	}
	delete(s.rows, port)
	delete(s.ports, key)
	delete(s.requests, pace.Subject{Why: pace.RecheckEndpoints, Port: port})
	s.diagnosis.Invalidate()
	s.timing.AddLoad(r.service.Probe.Period, r.dialled, -1)
	s.recentOwners.Add(now, r.service)
	return true
}

// ReplaceServices takes all Services there are, and reports whether any differs.
func (s *Schedule) ReplaceServices(now time.Duration, services []service.Service) bool {
	gone := maps.Clone(s.ports)
	for _, svc := range services {
		delete(gone, svc.Key)
	}
	for key := range gone {
		s.DeleteService(now, key)
	}
	changed := len(gone) > 0
	for _, svc := range services {
		changed = s.SetService(now, svc) || changed
	}
	return changed
}

// SetEndpoints takes a new or changed EndpointSlice.
func (s *Schedule) SetEndpoints(now time.Duration, e service.Endpoints) {
	if s.endpoints == nil {
		s.endpoints = service.Sets{}
	}
	before := s.endpoints.Sum(e.Service)
	s.endpoints.Drop(e)
	s.endpoints[e.Service] = append(s.endpoints[e.Service], e)
	s.compareEndpoints(now, e.Service, before)
}

// DeleteEndpoints takes the end of an EndpointSlice.
func (s *Schedule) DeleteEndpoints(now time.Duration, e service.Endpoints) {
	before := s.endpoints.Sum(e.Service)
	s.endpoints.Drop(e)
	s.compareEndpoints(now, e.Service, before)
}

// ReplaceEndpoints takes all EndpointSlices there are. The first time that is no change.
func (s *Schedule) ReplaceEndpoints(now time.Duration, all []service.Endpoints) {
	before := s.endpoints
	s.endpoints = service.Sets{}
	for _, e := range all {
		s.endpoints[e.Service] = append(s.endpoints[e.Service], e)
	}
	s.diagnosis.Invalidate()
	if before == nil {
		return
	}
	for key := range s.ports {
		s.compareEndpoints(now, key, before.Sum(key))
	}
}

// compareEndpoints has a Service probed soon, if its endpoints are not those of before.
func (s *Schedule) compareEndpoints(now time.Duration, key types.NamespacedName, before uint64) {
	s.diagnosis.Invalidate()
	port, ok := s.ports[key]
	if !ok || s.endpoints.Sum(key) == before {
		return
	}
	s.rows[port].changed = now
	s.request(now, pace.Subject{Why: pace.RecheckEndpoints, Port: port}, netip.AddrPort{})
}

// Recheck begins with a request for newer results, unless it is an old one.
func (s *Schedule) Recheck(now time.Duration, request protocol.Recheck) {
	if request.Round <= s.rechecks.Round {
		return
	}
	var asked []*pair
	var targets []netip.AddrPort
	for _, address := range request.Addresses {
		for port := range request.Ports.All() {
			if p := s.pair(netip.AddrPortFrom(address, port)); p != nil && p.state != undialled {
				asked, targets = append(asked, p), append(targets, p.target())
			}
		}
	}
	s.rechecks.Begin(now, request.Round, targets)
	s.probeOutOfTurn(now, pace.Recheck, asked...)
}

// ForgetRechecks forgets the rounds of a former object.
func (s *Schedule) ForgetRechecks() {
	s.rechecks = pace.Rechecks{}
}

// ResumeAfterSuspend makes all pairs pending. Probes under way count no more.
func (s *Schedule) ResumeAfterSuspend(now time.Duration) {
	s.check = selfcheck.Check{}
	s.ways.Forget()
	var all []*pair
	for p := range s.all() {
		if p.state == undialled {
			continue
		}
		s.stopDiagnosing(p)
		s.setState(p, pending)
		s.newRound(p)
		p.result, p.wasReached, p.podless, p.way = probe.Result{}, false, false, probe.Unseen
		all = append(all, p)
	}
	s.probeOutOfTurn(now, pace.Prove, all...)
}

// fill gives r its pairs, none of which has been entered.
func (s *Schedule) fill(r *row) {
	r.pairs, r.dialled = make([]pair, len(s.addresses)), 0
	for i, address := range s.addresses {
		p := &r.pairs[i]
		p.row, p.address, p.waits = r, address, workers.None
		p.phase = s.timing.Phase(p.target())
		if r.service.DialledOn(address) {
			r.dialled++
		} else {
			p.state = undialled
		}
	}
}

// enter begins with a new pair. Its first probe is at once on a small cluster;
// on a larger one the observers of an app spread theirs.
func (s *Schedule) enter(now time.Duration, p *pair) {
	if p.state == undialled {
		return
	}
	s.pending++
	s.newRound(p)
	s.probeOutOfTurn(max(now, p.row.opens), pace.Begin, p)
}

// move makes p take the place of old, which is as if it had never been entered.
func (s *Schedule) move(old, p *pair) {
	if s.queue.Contains(old) {
		s.queue.Items[old.place] = p
	}
	*p = *old
	old.waits, old.state = workers.None, undialled
}

// leave ends with a pair.
func (s *Schedule) leave(p *pair) {
	if p.state == undialled {
		return
	}
	s.queue.Take(p)
	s.dismiss(p)
	s.stopDiagnosing(p)
	s.rechecks.Drop(p.target())
	if p.state == pending {
		s.pending--
	}
}
