package reporter

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

const (
	// maxBytes bounds the JSON of a report, which leaves 2 kB for the rest of its
	// object: metadata, targets, and a recheck.
	maxBytes = 8_000

	// frame is the size of the JSON of a report without addresses, node ports and
	// findings: the generation, the round, the time, the resourceVersion, and the
	// counts of the probes.
	frame = 1150

	// maxEntries is how many failures, and how many pending entries, a report
	// can list.
	maxEntries = 128

	// finest is the number of ranges per address that pending entries begin
	// with when they are to become shorter.
	finest = 64
)

// Status returns the snapshot in the form of the API and within its bounds.
//
// A snapshot that fits is encoded whole. One that does not loses, in this order:
// where translated dials ended; the evidence; on most-pending ports, the difference
// between addresses, so that such a port is pending on all; the gaps in ranges at ports
// that are not dialled, which changes nothing for those that are. If that does not fit
// either, the failures of the fewest pairs become pending, and pending entries as
// coarse as they must. A reached pair may thus become pending, and a failing one may be
// listed as pending too; but nothing ever becomes reached. Pairs that are pending for
// one reason are never listed with another.
func (s Snapshot) Status() v1alpha1.NodeReachabilityStatus {
	for _, shorten := range []func(Snapshot) Snapshot{
		func(s Snapshot) Snapshot { return s },
		Snapshot.withoutDetours, Snapshot.withoutEvidence, Snapshot.withoutRemnants, Snapshot.filled,
	} {
		s = shorten(s)
		if status := s.render(s.Failures, s.Pending); fits(status) {
			return status
		}
	}
	failures, pending := s.Failures, s.Pending
	s = s.truncated()
	rest := []PairFinding{s.everything()}
	// Half of the room is left for pending entries to be fine: the coarser they
	// are, the more reached pairs they cover.
	failures, dropped := keep(failures, (maxBytes-frame-size(s.render([]PairFinding{{}}, rest)))/2)
	pending = append(pending, dropped...)
	for ranges := finest; ranges > 0; ranges /= 2 {
		if status := s.render(failures, coarsened(pending, ranges)); fits(status) {
			return status
		}
	}
	return s.render(failures, rest)
}

// render encodes the snapshot in the form of the API.
func (s Snapshot) render(failures, pending []PairFinding) v1alpha1.NodeReachabilityStatus {
	report := protocol.Report{Addresses: s.Addresses, NodePorts: s.dialled(s.Addresses)}
	for _, f := range failures {
		report.Failures = append(report.Failures, f.failure())
	}
	for _, f := range pending {
		report.Pending = append(report.Pending, f.gap())
	}
	return report.Encode()
}

func (f PairFinding) failure() protocol.Exception {
	return protocol.Exception{
		Outcome: protocol.Failed, Reason: string(f.Result.Reason), Message: f.Result.Message,
		Evidence: f.Evidence, NodePorts: f.Ports, Addresses: f.Addresses,
	}
}

func (f PairFinding) gap() protocol.Exception {
	pending := protocol.Exception{Outcome: f.Gap.Outcome, NodePorts: f.Ports, Addresses: f.Addresses}
	if f.Gap.TranslatedTo.IsValid() {
		pending.Message = f.Gap.TranslatedTo.String()
	}
	return pending
}

// withoutEvidence returns the snapshot with failures that differ in nothing but
// evidence as one.
func (s Snapshot) withoutEvidence() Snapshot {
	s.Failures = united(s.Failures, func(c FailureCause) FailureCause { return FailureCause{Result: c.Result} })
	return s
}

// withoutDetours returns the snapshot with pending pairs that differ in nothing but
// where their dials ended as one.
func (s Snapshot) withoutDetours() Snapshot {
	s.Pending = united(s.Pending, func(c FailureCause) FailureCause { return FailureCause{Gap: Gap{Outcome: c.Gap.Outcome}} })
	return s
}

// united returns findings with less in their causes, and those as one that are the
// same then.
func united(findings []PairFinding, less func(FailureCause) FailureCause) []PairFinding {
	type pairCause struct {
		cause   FailureCause
		address netip.Addr
	}
	ports := map[pairCause]nodeport.Set{}
	for _, f := range findings {
		for _, address := range f.Addresses {
			at := pairCause{less(f.FailureCause), address}
			ports[at] = ports[at].Union(f.Ports)
		}
	}
	var fewer []PairFinding
	for at, set := range ports {
		fewer = append(fewer, PairFinding{at.cause, []netip.Addr{at.address}, set})
	}
	return merge(fewer)
}

// withoutRemnants returns the snapshot with the ports that are pending on more than half
// of the addresses pending on all.
func (s Snapshot) withoutRemnants() Snapshot {
	on := map[uint16]int{}
	for _, f := range s.Pending {
		if f.Gap.Outcome != protocol.Silent {
			// The report says why there is no result.
			continue
		}
		for port := range f.Ports.All() {
			on[port] += len(f.Addresses)
		}
	}
	var mostly []uint16
	for port, addresses := range on {
		if 2*addresses > len(s.Addresses) {
			mostly = append(mostly, port)
		}
	}
	ports := nodeport.Of(mostly...)
	if ports.IsEmpty() {
		return s
	}
	without := func(findings []PairFinding) (left []PairFinding) {
		for _, f := range findings {
			if f.Ports = f.Ports.Minus(ports); !f.Ports.IsEmpty() {
				left = append(left, f)
			}
		}
		return left
	}
	s.Failures = merge(without(s.Failures))
	s.Pending = append(merge(without(s.Pending)), PairFinding{Addresses: s.Addresses, Ports: ports})
	return s
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

// filled returns the snapshot with ranges that run across ports that are not dialled.
func (s Snapshot) filled() Snapshot {
	fill := func(findings []PairFinding) []PairFinding {
		filled := slices.Clone(findings)
		for i, f := range filled {
			filled[i].Ports = f.Ports.Fill(s.dialled(f.Addresses))
		}
		return filled
	}
	s.Failures, s.Pending = fill(s.Failures), fill(s.Pending)
	return s
}

// truncated returns the snapshot without the highest ports, if there are so many
// ranges of them that even a report without findings would not fit. It is then
// silent about those ports.
func (s Snapshot) truncated() Snapshot {
	ports := s.dialled(s.Addresses)
	text := ports.String()
	room := maxBytes - frame - size(s.render(nil, []PairFinding{s.everything()})) + len(text)
	if len(text) <= room {
		return s
	}
	cut := strings.LastIndexByte(text[:room], ',')
	// Whole ranges of a set are a set.
	ports, _ = nodeport.Parse(text[:cut])
	s.IPv4, s.IPv6 = s.IPv4.Intersect(ports), s.IPv6.Intersect(ports)
	return s
}

// everything is the shortest finding that covers all pairs.
func (s Snapshot) everything() PairFinding {
	return PairFinding{Addresses: s.Addresses, Ports: s.dialled(s.Addresses).Coarsen(1)}
}

// keep parts the failures into those that fit into room bytes, in their order,
// and the rest, which it makes pending. Failures of many pairs go first.
func keep(failures []PairFinding, room int) (kept, dropped []PairFinding) {
	byWeight := make([]int, len(failures))
	for i := range byWeight {
		byWeight[i] = i
	}
	slices.SortStableFunc(byWeight, func(i, j int) int { return failures[j].weight() - failures[i].weight() })
	keeps := make([]bool, len(failures))
	entries := 0
	for _, i := range byWeight {
		if n := size(failures[i].failure().EncodeFailure()) + len(","); n <= room && entries < maxEntries {
			keeps[i] = true
			room -= n
			entries++
		}
	}
	for i, f := range failures {
		if keeps[i] {
			kept = append(kept, f)
		} else {
			dropped = append(dropped, PairFinding{Addresses: f.Addresses, Ports: f.Ports})
		}
	}
	return kept, dropped
}

// weight returns the number of pairs of a finding.
func (f PairFinding) weight() int {
	return f.Ports.Len() * len(f.Addresses)
}

// coarsened returns pending findings that cover those given, in at most ranges
// ranges per address. They have no reason: they cover pairs that are pending for
// others, or not at all.
func coarsened(pending []PairFinding, ranges int) []PairFinding {
	ports := map[netip.Addr]nodeport.Set{}
	for _, f := range pending {
		for _, address := range f.Addresses {
			ports[address] = ports[address].Union(f.Ports)
		}
	}
	var findings []PairFinding
	for address, set := range ports {
		findings = append(findings, PairFinding{Addresses: []netip.Addr{address}, Ports: set.Coarsen(ranges)})
	}
	return merge(findings)
}
