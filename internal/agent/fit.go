package agent

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/probe"
)

const (
	// maxBytes bounds the JSON of a report.
	maxBytes = 10_000

	// frame is what the JSON of a report takes beside addresses, node ports and
	// findings: the generation, the round, the time, the resourceVersion, and the
	// counts of the probes.
	frame = 1000

	// maxEntries is how many failures, and how many pending entries, a report
	// can list.
	maxEntries = 128

	// finest is the number of ranges per address that pending entries begin
	// with when they are to become shorter.
	finest = 64
)

// report returns the survey in the form of the API and within its bounds.
//
// It says all that is known if that fits. If not, it leaves out the evidence.
// After that, ports that are not dialled no longer interrupt a range, which
// changes nothing for those that are. If that does not fit either, the failures
// of the fewest pairs become pending, and pending entries as coarse as they must.
// A reached pair may thus become pending, and a failing one be named as pending
// too; but nothing ever becomes reached.
func (s survey) report() v1alpha1.NodeReachabilityStatus {
	if status := s.status(s.failures, s.pending); fits(status) {
		return status
	}
	s = s.withoutEvidence()
	if status := s.status(s.failures, s.pending); fits(status) {
		return status
	}
	failures, pending := s.filled(s.failures), s.filled(s.pending)
	if status := s.status(failures, pending); fits(status) {
		return status
	}
	s = s.truncated()
	rest := []finding{s.everything()}
	// Half of the room is left for pending entries to be fine: the coarser they
	// are, the more reached pairs they cover.
	failures, dropped := keep(failures, (maxBytes-frame-size(s.status([]finding{{}}, rest)))/2)
	pending = append(pending, dropped...)
	for ranges := finest; ranges > 0; ranges /= 2 {
		if status := s.status(failures, coarsened(pending, ranges)); fits(status) {
			return status
		}
	}
	return s.status(failures, rest)
}

// status renders findings.
func (s survey) status(failures, pending []finding) v1alpha1.NodeReachabilityStatus {
	status := v1alpha1.NodeReachabilityStatus{
		Addresses: texts(s.addresses),
		NodePorts: s.dialled(s.addresses).String(),
	}
	for _, f := range failures {
		status.Failures = append(status.Failures, failure(f))
	}
	for _, f := range pending {
		status.Pending = append(status.Pending, v1alpha1.PendingProbes{
			NodePorts: f.ports.String(),
			Addresses: texts(f.addresses),
		})
	}
	return status
}

func failure(f finding) v1alpha1.ProbeFailure {
	return v1alpha1.ProbeFailure{
		Reason:    string(f.result.Reason),
		Message:   f.result.Message,
		Evidence:  f.evidence.status(),
		NodePorts: f.ports.String(),
		Addresses: texts(f.addresses),
	}
}

// status returns nil for no evidence.
func (e evidence) status() *v1alpha1.Evidence {
	if e == (evidence{}) {
		return nil
	}
	return &v1alpha1.Evidence{Pod: e.pod, ClusterIP: e.clusterIP, KubeProxy: e.kubeProxy}
}

// withoutEvidence returns the survey with failures that differ in nothing but
// evidence as one.
func (s survey) withoutEvidence() survey {
	type place struct {
		result  probe.Result
		address netip.Addr
	}
	ports := map[place]nodeport.Set{}
	for _, f := range s.failures {
		for _, address := range f.addresses {
			at := place{f.result, address}
			ports[at] = ports[at].Union(f.ports)
		}
	}
	var failures []finding
	for at, set := range ports {
		failures = append(failures, finding{cause{result: at.result}, []netip.Addr{at.address}, set})
	}
	s.failures = merge(failures)
	return s
}

func texts(addresses []netip.Addr) []string {
	var texts []string
	for _, address := range addresses {
		texts = append(texts, address.String())
	}
	return texts
}

func fits(status v1alpha1.NodeReachabilityStatus) bool {
	return len(status.Failures) <= maxEntries && len(status.Pending) <= maxEntries &&
		size(status) <= maxBytes-frame
}

// size returns the length of the JSON of a part of a report.
func size(part any) int {
	// No part has anything in it that JSON cannot carry.
	text, _ := json.Marshal(part)
	return len(text)
}

// filled returns findings with ranges that run across ports that are not
// dialled.
func (s survey) filled(findings []finding) []finding {
	filled := slices.Clone(findings)
	for i, f := range filled {
		filled[i].ports = f.ports.Fill(s.dialled(f.addresses))
	}
	return filled
}

// truncated returns the survey without the highest ports, if there are so many
// ranges of them that even a report without findings would not fit. It is then
// silent about those ports.
func (s survey) truncated() survey {
	ports := s.dialled(s.addresses)
	text := ports.String()
	room := maxBytes - frame - size(s.status(nil, []finding{s.everything()})) + len(text)
	if len(text) <= room {
		return s
	}
	cut := strings.LastIndexByte(text[:room], ',')
	// Whole ranges of a set are a set.
	ports, _ = nodeport.Parse(text[:cut])
	s.ipv4, s.ipv6 = s.ipv4.Intersect(ports), s.ipv6.Intersect(ports)
	return s
}

// everything is the shortest finding that covers all pairs.
func (s survey) everything() finding {
	return finding{addresses: s.addresses, ports: s.dialled(s.addresses).Coarsen(1)}
}

// keep parts the failures into those that fit into room bytes, in their order,
// and the rest, which it makes pending. Failures of many pairs go first.
func keep(failures []finding, room int) (kept, dropped []finding) {
	byWeight := make([]int, len(failures))
	for i := range byWeight {
		byWeight[i] = i
	}
	slices.SortStableFunc(byWeight, func(i, j int) int { return failures[j].weight() - failures[i].weight() })
	keeps := make([]bool, len(failures))
	entries := 0
	for _, i := range byWeight {
		if n := size(failure(failures[i])) + len(","); n <= room && entries < maxEntries {
			keeps[i] = true
			room -= n
			entries++
		}
	}
	for i, f := range failures {
		if keeps[i] {
			kept = append(kept, f)
		} else {
			dropped = append(dropped, finding{addresses: f.addresses, ports: f.ports})
		}
	}
	return kept, dropped
}

// weight returns the number of pairs of a finding.
func (f finding) weight() int {
	return f.ports.Len() * len(f.addresses)
}

// coarsened returns pending findings that cover those given, in at most ranges
// ranges per address.
func coarsened(pending []finding, ranges int) []finding {
	ports := map[netip.Addr]nodeport.Set{}
	for _, f := range pending {
		for _, address := range f.addresses {
			ports[address] = ports[address].Union(f.ports)
		}
	}
	var findings []finding
	for address, set := range ports {
		findings = append(findings, finding{addresses: []netip.Addr{address}, ports: set.Coarsen(ranges)})
	}
	return merge(findings)
}
