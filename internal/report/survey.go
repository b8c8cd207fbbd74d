// Package report turns what an agent knows into its report, the status of a
// NodeReachability, and says when to write it. A Survey says what is known of
// every pair of an address and a node port; its Status says so within the bounds
// of a report, and Configuration is what is applied; a Pacer says when.
//
// All of them are plain values: the package makes no call and reads no clock.
package report

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// Finding is something known of each of Ports on each of Addresses, which are
// ascending: that it fails with Result, or, for the zero Result, that it is
// pending.
type Finding struct {
	Cause
	Addresses []netip.Addr
	Ports     nodeport.Set
}

// Cause is how a pair fails, and what is known of other ways; or why it is pending.
type Cause struct {
	Result   probe.Result
	Evidence Evidence
	Gap      Gap
}

// Gap is why a pair is pending. It is zero where there is no result yet.
type Gap struct {
	Outcome      protocol.Outcome
	TranslatedTo netip.AddrPort
}

// Evidence is what is known of the other ways to an app whose node port does not
// answer, in the words of v1alpha1.Evidence.
type Evidence struct {
	Pod, ClusterIP, KubeProxy string
}

// Survey is what is known of all pairs. A pair of Addresses and of the ports
// dialled in its family that no Finding names is reached.
type Survey struct {
	Addresses  []netip.Addr
	IPv4, IPv6 nodeport.Set
	Failures   []Finding
	Pending    []Finding
}

// NewSurvey sums up findings, of which no two may name the same pair.
func NewSurvey(addresses []netip.Addr, ipv4, ipv6 nodeport.Set, findings []Finding) Survey {
	findings = merge(findings)
	proven := slices.IndexFunc(findings, func(f Finding) bool { return !f.Result.Reached() })
	if proven < 0 {
		proven = len(findings)
	}
	return Survey{
		Addresses: addresses,
		IPv4:      ipv4,
		IPv6:      ipv6,
		Failures:  findings[proven:],
		Pending:   findings[:proven],
	}
}

// dialled returns the ports that are dialled on at least one of addresses.
func (s Survey) dialled(addresses []netip.Addr) nodeport.Set {
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
func merge(findings []Finding) []Finding {
	slices.SortFunc(findings, func(a, b Finding) int {
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
		Cause
		ports string
	}
	var merged []Finding
	seen := map[kind]int{}
	for _, f := range findings {
		k := kind{f.Cause, f.Ports.String()}
		if i, ok := seen[k]; ok {
			merged[i].Addresses = append(merged[i].Addresses, f.Addresses...)
			continue
		}
		seen[k] = len(merged)
		merged = append(merged, f)
	}
	return merged
}
