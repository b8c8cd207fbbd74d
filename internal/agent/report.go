package agent

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// finding is something known of each of ports on each of addresses, which are
// ascending: that it fails with result, or, for the zero result, that it is
// pending.
type finding struct {
	cause
	addresses []netip.Addr
	ports     nodeport.Set
}

// cause is how a pair fails, and what is known of other ways.
type cause struct {
	result   probe.Result
	evidence evidence
}

// survey is what is known of all pairs. A pair of addresses and of the ports
// dialled in its family that no finding names is reached.
type survey struct {
	addresses  []netip.Addr
	ipv4, ipv6 nodeport.Set
	failures   []finding
	pending    []finding
}

// survey sums up the schedule.
func (s *schedule) survey() survey {
	var ipv4, ipv6 []uint16
	found := make([]map[cause][]uint16, len(s.addresses))
	for _, port := range slices.Sorted(maps.Keys(s.rows)) {
		r := s.rows[port]
		if r.service.ipv4 {
			ipv4 = append(ipv4, port)
		}
		if r.service.ipv6 {
			ipv6 = append(ipv6, port)
		}
		for i := range r.pairs {
			if p := &r.pairs[i]; p.state == pending || p.state == failing {
				if found[i] == nil {
					found[i] = map[cause][]uint16{}
				}
				why := s.causeOf(p)
				found[i][why] = append(found[i][why], port)
			}
		}
	}
	var findings []finding
	for i, address := range s.addresses {
		for cause, ports := range found[i] {
			findings = append(findings, finding{cause, []netip.Addr{address}, nodeport.Of(ports...)})
		}
	}
	findings = merge(findings)
	proven := slices.IndexFunc(findings, func(f finding) bool { return !f.result.Reached() })
	if proven < 0 {
		proven = len(findings)
	}
	return survey{
		addresses: s.addresses,
		ipv4:      nodeport.Of(ipv4...),
		ipv6:      nodeport.Of(ipv6...),
		failures:  findings[proven:],
		pending:   findings[:proven],
	}
}

// causeOf returns the zero cause for a pair that does not fail.
func (s *schedule) causeOf(p *pair) cause {
	if p.state != failing {
		return cause{}
	}
	return cause{p.result, s.evidenceOf(p)}
}

// dialled returns the ports that are dialled on at least one of addresses.
func (s survey) dialled(addresses []netip.Addr) nodeport.Set {
	var ports nodeport.Set
	if slices.ContainsFunc(addresses, netip.Addr.Is4) {
		ports = ports.Union(s.ipv4)
	}
	if slices.ContainsFunc(addresses, netip.Addr.Is6) {
		ports = ports.Union(s.ipv6)
	}
	return ports
}

// merge makes one finding of those that say the same of the same ports, and puts
// all into order: the pending first, then by reason and message.
func merge(findings []finding) []finding {
	slices.SortFunc(findings, func(a, b finding) int {
		return cmp.Or(
			cmp.Compare(a.result.Reason, b.result.Reason),
			cmp.Compare(a.result.Message, b.result.Message),
			cmp.Compare(a.evidence.pod, b.evidence.pod),
			cmp.Compare(a.evidence.clusterIP, b.evidence.clusterIP),
			cmp.Compare(a.evidence.kubeProxy, b.evidence.kubeProxy),
			slices.CompareFunc(a.addresses, b.addresses, netip.Addr.Compare),
		)
	})
	type kind struct {
		cause
		ports string
	}
	var merged []finding
	seen := map[kind]int{}
	for _, f := range findings {
		k := kind{f.cause, f.ports.String()}
		if i, ok := seen[k]; ok {
			merged[i].addresses = append(merged[i].addresses, f.addresses...)
			continue
		}
		seen[k] = len(merged)
		merged = append(merged, f)
	}
	return merged
}
