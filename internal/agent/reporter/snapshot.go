// Package reporter turns what an agent knows into its report, the status of a
// NodeReachability, and decides when to write it. A Snapshot holds what is known of
// every pair of an address and a node port; its Status encodes that within the bounds
// of a report; a Pacer decides when to write; Statistics counts probes.
//
// All of them are plain values: the package makes no call and reads no clock.
package reporter

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// PairFinding says of each of Ports on each of Addresses, which are ascending, that
// the pair fails with Result, or, for the zero Result, that it is pending.
type PairFinding struct {
	FailureCause
	Addresses []netip.Addr
	Ports     nodeport.Set
}

// FailureCause is how a pair fails, and what other paths to the app do; or why it is
// pending.
type FailureCause struct {
	Result   probe.Result
	Evidence v1alpha1.Evidence
	Gap      Gap
}

// Gap is why a pair is pending. It is zero if there is no result yet.
type Gap struct {
	Outcome      protocol.Outcome
	TranslatedTo netip.AddrPort
}

// Snapshot is what is known of all pairs. A pair of Addresses and of the ports
// dialled in its family that no PairFinding names is reached.
type Snapshot struct {
	Addresses  []netip.Addr
	IPv4, IPv6 nodeport.Set
	Failures   []PairFinding
	Pending    []PairFinding
}

// NewSnapshot sums up findings, of which no two may name the same pair.
func NewSnapshot(addresses []netip.Addr, ipv4, ipv6 nodeport.Set, findings []PairFinding) Snapshot {
	findings = merge(findings)
	proven := slices.IndexFunc(findings, func(f PairFinding) bool { return !f.Result.Reached() })
	if proven < 0 {
		proven = len(findings)
	}
	return Snapshot{
		Addresses: addresses,
		IPv4:      ipv4,
		IPv6:      ipv6,
		Failures:  findings[proven:],
		Pending:   findings[:proven],
	}
}

// dialled returns the ports that are dialled on at least one of addresses.
func (s Snapshot) dialled(addresses []netip.Addr) nodeport.Set {
	var ports nodeport.Set
	if slices.ContainsFunc(addresses, netip.Addr.Is4) {
		ports = ports.Union(s.IPv4)
	}
	if slices.ContainsFunc(addresses, netip.Addr.Is6) {
		ports = ports.Union(s.IPv6)
	}
	return ports
}

// merge makes one finding of those that say the same of the same ports, and puts
// all into order: the pending first, then by reason and message.
func merge(findings []PairFinding) []PairFinding {
	slices.SortFunc(findings, func(a, b PairFinding) int {
		return cmp.Or(
			cmp.Compare(a.Result.Reason, b.Result.Reason),
			cmp.Compare(a.Result.Message, b.Result.Message),
			cmp.Compare(a.Gap.Outcome, b.Gap.Outcome),
			a.Gap.TranslatedTo.Compare(b.Gap.TranslatedTo),
			cmp.Compare(a.Evidence.Pod, b.Evidence.Pod),
			cmp.Compare(a.Evidence.ClusterIP, b.Evidence.ClusterIP),
			cmp.Compare(a.Evidence.KubeProxy, b.Evidence.KubeProxy),
			slices.CompareFunc(a.Addresses, b.Addresses, netip.Addr.Compare),
		)
	})
	type kind struct {
		FailureCause
		ports string
	}
	var merged []PairFinding
	seen := map[kind]int{}
	for _, f := range findings {
		k := kind{f.FailureCause, f.Ports.String()}
		if i, ok := seen[k]; ok {
			merged[i].Addresses = append(merged[i].Addresses, f.Addresses...)
			continue
		}
		seen[k] = len(merged)
		merged = append(merged, f)
	}
	return merged
}
