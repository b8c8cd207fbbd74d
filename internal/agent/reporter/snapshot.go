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

// Collector gathers what is known of the pairs of addresses, one by one in any order.
type Collector struct {
	addresses  []netip.Addr
	ipv4, ipv6 []uint16
	found      []map[FailureCause][]uint16
}

// NewCollector returns a collector of the pairs of addresses, which are ascending.
func NewCollector(addresses []netip.Addr) Collector {
	return Collector{addresses: addresses, found: make([]map[FailureCause][]uint16, len(addresses))}
}

// Serve takes a port that is dialled, by the families in which it is.
func (c *Collector) Serve(port uint16, ipv4, ipv6 bool) {
	if ipv4 {
		c.ipv4 = append(c.ipv4, port)
	}
	if ipv6 {
		c.ipv6 = append(c.ipv6, port)
	}
}

// Add takes a pair that is not reached, by the index of its address.
func (c *Collector) Add(address int, port uint16, cause FailureCause) {
	if c.found[address] == nil {
		c.found[address] = map[FailureCause][]uint16{}
	}
	c.found[address][cause] = append(c.found[address][cause], port)
}

// Snapshot returns what was gathered.
func (c *Collector) Snapshot() Snapshot {
	var findings []PairFinding
	for i, address := range c.addresses {
		for cause, ports := range c.found[i] {
			findings = append(findings, PairFinding{cause, []netip.Addr{address}, nodeport.Of(ports...)})
		}
	}
	findings = merge(findings)
	failures := slices.IndexFunc(findings, func(f PairFinding) bool { return !f.Result.Reached() })
	if failures < 0 {
		failures = len(findings)
	}
	return Snapshot{
		Addresses: c.addresses,
		IPv4:      nodeport.Of(c.ipv4...),
		IPv6:      nodeport.Of(c.ipv6...),
		Failures:  findings[failures:],
		Pending:   findings[:failures],
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
