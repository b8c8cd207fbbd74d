// Package results holds what the status of a NodeReachability says, in the form in which it
// is asked for thousands of times: by address and node port, and by the Services that it
// covers. It is pure.
package results

import (
	"net/netip"
	"slices"

	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// Results are a decoded NodeReachability status. They are immutable.
type Results struct {
	protocol.Report

	// Version is the ServicesVersion of the report.
	Version Version

	// closed are the addresses at which no node port answered. Much needs no second
	// look there, when a whole cluster fails.
	closed []netip.Addr
}

// Of returns what a report says.
func Of(report protocol.Report) *Results {
	r := &Results{Report: report, Version: VersionOf(report.ServicesVersion)}
	r.closed = r.closedAddresses()
	return r
}

// closedAddresses returns the addresses at which no node port answered. Most often that is
// none of them, or all.
func (r *Results) closedAddresses() []netip.Addr {
	var closed []netip.Addr
	for _, address := range r.Addresses {
		if site := r.At(address); !r.NodePorts.IsEmpty() && site.Outcomes().Reached.IsEmpty() {
			closed = append(closed, address)
		}
	}
	if len(closed) == len(r.Addresses) {
		return r.Addresses
	}
	return closed
}

// Closed reports whether no node port answered at an address.
func (r *Results) Closed(address netip.Addr) bool { return slices.Contains(r.closed, address) }

// Dials reports whether the report is about an address.
func (r *Results) Dials(address netip.Addr) bool {
	_, found := slices.BinarySearchFunc(r.Addresses, address, netip.Addr.Compare)
	return found
}

// Site is what a report says of one address: it reaches all node ports but for the
// exceptions, failures first.
type Site struct {
	nodePorts  nodeport.Set
	exceptions []*protocol.Exception
}

// At returns what the report says of an address.
func (r *Results) At(address netip.Addr) Site {
	site := Site{nodePorts: r.NodePorts}
	for _, all := range [][]protocol.Exception{r.Failures, r.Pending} {
		for i := range all {
			if _, found := slices.BinarySearchFunc(all[i].Addresses, address, netip.Addr.Compare); found {
				site.exceptions = append(site.exceptions, &all[i])
			}
		}
	}
	return site
}

// Outcome returns what the report says of a node port, and the exception where it is not
// reached.
func (s *Site) Outcome(nodePort uint16) (protocol.Outcome, *protocol.Exception) {
	if !s.nodePorts.Contains(nodePort) {
		return protocol.Silent, nil
	}
	for _, exception := range s.exceptions {
		if exception.NodePorts.Contains(nodePort) {
			return exception.Outcome, exception
		}
	}
	return protocol.Reached, nil
}

// Outcomes are the node ports that are reached at an address, that are not, and of which
// the dials are translated. Of the rest nothing is known.
type Outcomes struct{ Reached, Failed, Translated nodeport.Set }

// Outcomes returns what the report says of all node ports.
func (s *Site) Outcomes() Outcomes {
	var failed, silent, translated nodeport.Set
	for _, exception := range s.exceptions {
		switch exception.Outcome {
		case protocol.Failed:
			failed = failed.Union(exception.NodePorts)
		case protocol.Translated:
			translated = translated.Union(exception.NodePorts)
		default:
			silent = silent.Union(exception.NodePorts)
		}
	}
	failed = failed.Intersect(s.nodePorts)
	rest := s.nodePorts.Minus(failed).Minus(silent)
	translated = translated.Intersect(rest)
	return Outcomes{Reached: rest.Minus(translated), Failed: failed, Translated: translated}
}

// Differing returns the node ports on which two reports may differ. It may name
// too many, never too few.
func Differing(a, b *Results) nodeport.Set {
	if !slices.Equal(a.Addresses, b.Addresses) {
		return a.NodePorts.Union(b.NodePorts)
	}
	ports := a.NodePorts.Differ(b.NodePorts)
	for _, pair := range [][2][]protocol.Exception{{a.Failures, b.Failures}, {a.Pending, b.Pending}} {
		ports = ports.Union(onlyIn(pair[0], pair[1])).Union(onlyIn(pair[1], pair[0]))
	}
	return ports
}

// onlyIn returns the node ports of the exceptions that a has and b has not.
func onlyIn(a, b []protocol.Exception) nodeport.Set {
	var ports nodeport.Set
	for i := range a {
		if !slices.ContainsFunc(b, func(e protocol.Exception) bool { return e.Equal(&a[i]) }) {
			ports = ports.Union(a[i].NodePorts)
		}
	}
	return ports
}
