package agent

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// detourTime is how long a remote that was reported may stay unseen until another
// takes its place.
const detourTime = 10 * time.Minute

// paths is what is known of the ways that the kernel takes dials of node ports. A
// dial at which nobody could look, as one that was refused, counts as taken the same
// way as the last that was looked at: of the same address and port, else of any port
// of the address, else of any address. With none it is unverified.
type paths struct {
	byAddress map[netip.Addr]probe.Way
	latest    probe.Way

	// dials are their numbers by way.
	dials map[probe.Way]int64
}

func newPaths() paths {
	return paths{byAddress: map[netip.Addr]probe.Way{}, dials: map[probe.Way]int64{}}
}

// detour is where the dials of a pair end in place of its address. A load balancer
// spreads them over the pods of an app, so what is reported is one that was seen,
// and stays the same while nothing changes.
type detour struct {
	to netip.AddrPort
	// chosen is when it was taken for the report, and seen when a dial ended there
	// last.
	chosen, seen time.Duration
}

// trace completes the path of a dial of p, which is nil if there is no such pair any
// more. A dial that failed for want of something on this side took none.
func (s *schedule) trace(p *pair, result *probe.Result) {
	if result.Path.Way == probe.Unseen && result.Reason == probe.NotDialled {
		return
	}
	if result.Path.Way == probe.Unseen {
		result.Path.Way = s.expected(p)
	} else if p != nil {
		p.way = result.Path.Way
		s.paths.byAddress[p.address] = p.way
		s.paths.latest = p.way
	}
	if result.Path.Way == probe.Unseen {
		result.Path.Way = probe.Unverified
	}
	s.paths.dials[result.Path.Way]++
}

// expected returns the way that a dial of p takes by all that is known.
func (s *schedule) expected(p *pair) probe.Way {
	if p == nil {
		return s.paths.latest
	}
	if p.way != probe.Unseen {
		return p.way
	}
	if way, ok := s.paths.byAddress[p.address]; ok {
		return way
	}
	return s.paths.latest
}

// follow forgets addresses that are not dialled any more.
func (p *paths) follow(addresses []netip.Addr) {
	maps.DeleteFunc(p.byAddress, func(address netip.Addr, _ probe.Way) bool {
		return !slices.Contains(addresses, address)
	})
}

// forget forgets all ways.
func (p *paths) forget() {
	clear(p.byAddress)
	p.latest = probe.Unseen
}

// wordless returns the state of a pair of which a dial says nothing, however it
// ended, and false if it does: one that the kernel took elsewhere, and one of an
// address that is this host's own, whoever it is said to be of.
func (s *schedule) wordless(p *pair, path probe.Path) (state, bool) {
	switch {
	case path.Own && s.foreign(p.address):
		return ownHost, true
	case path.Way == probe.Translated && !path.Proven:
		return translated, true
	}
	return pending, false
}

// pass takes a dial of p that says nothing. It answers a request to look again, and
// proves nothing in a doubt.
func (s *schedule) pass(now time.Duration, f flight, p *pair, known state, path probe.Path) change {
	s.newRound(p)
	p.slow = false
	if known == translated {
		p.divert(now, path.Remote)
	} else {
		p.detour = nil
	}
	s.plan(p, s.tick(now, p))
	s.looked(now, p, f.started)
	return s.conclude(p, known, probe.Result{})
}

// divert takes note of where a dial ended. Another place is reported only where the
// endpoints have changed, or the one that is has not been seen for long.
func (p *pair) divert(now time.Duration, to netip.AddrPort) {
	d := p.detour
	switch {
	case !to.IsValid():
	case d != nil && d.to == to:
		d.seen = now
	case d == nil || d.chosen <= p.row.changed && p.row.changed > 0 || now-d.seen >= detourTime:
		p.detour = &detour{to: to, chosen: now, seen: now}
	}
}

// gapOf returns why there is no word on a pair.
func (p *pair) gapOf() reporter.Gap {
	switch p.state {
	case ownHost:
		return reporter.Gap{Outcome: protocol.OwnHost}
	case translated:
		gap := reporter.Gap{Outcome: protocol.Translated}
		if p.detour != nil {
			gap.TranslatedTo = p.detour.to
		}
		return gap
	}
	return reporter.Gap{}
}

// status returns the numbers of dials in the form of the API.
func (p *paths) status() []v1alpha1.DialCount {
	var counts []v1alpha1.DialCount
	for _, way := range []struct {
		way  probe.Way
		path v1alpha1.DialPath
	}{
		{probe.Direct, v1alpha1.DialDirect},
		{probe.Translated, v1alpha1.DialTranslated},
		{probe.Unverified, v1alpha1.DialUnverified},
	} {
		if count := p.dials[way.way]; count > 0 {
			counts = append(counts, v1alpha1.DialCount{Path: way.path, Count: count})
		}
	}
	return counts
}
