package agent

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/nodeport"
)

// survey sums up the schedule. A word that is older than its cycle is none.
func (s *schedule) survey(now time.Duration) reporter.Snapshot {
	var ipv4, ipv6 []uint16
	found := make([]map[reporter.FailureCause][]uint16, len(s.addresses))
	for _, port := range slices.Sorted(maps.Keys(s.rows)) {
		r := s.rows[port]
		if r.service.ipv4 {
			ipv4 = append(ipv4, port)
		}
		if r.service.ipv6 {
			ipv6 = append(ipv6, port)
		}
		for i := range r.pairs {
			if p := &r.pairs[i]; p.state != reached && p.state != undialled || s.stale(now, p) {
				if found[i] == nil {
					found[i] = map[reporter.FailureCause][]uint16{}
				}
				why := s.causeOf(now, p)
				found[i][why] = append(found[i][why], port)
			}
		}
	}
	var findings []reporter.PairFinding
	for i, address := range s.addresses {
		for cause, ports := range found[i] {
			findings = append(findings, reporter.PairFinding{
				FailureCause: cause, Addresses: []netip.Addr{address}, Ports: nodeport.Of(ports...),
			})
		}
	}
	return reporter.NewSnapshot(s.addresses, nodeport.Of(ipv4...), nodeport.Of(ipv6...), findings)
}

// causeOf returns the zero Cause for a pair that is pending for want of a result.
func (s *schedule) causeOf(now time.Duration, p *pair) reporter.FailureCause {
	if p.state != failing || s.stale(now, p) {
		return reporter.FailureCause{Gap: p.gapOf()}
	}
	return reporter.FailureCause{Result: p.result, Evidence: s.evidenceOf(p)}
}
