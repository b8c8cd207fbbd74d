package reachability

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// Report is a NodeReachability that was read, with what the operator keeps of it. As
// text, the reports of thousands of agents would be most of what it has in memory.
type Report struct {
	// NodeReachability has of its status what others than the State use: when the
	// report was renewed, and the counts of the probes.
	v1alpha1.NodeReachability

	results *results
	err     error
}

// results is a decoded NodeReachability status.
type results struct {
	protocol.Report

	version version
	// closed are the addresses at which no node port answered. Much needs no second
	// look there, when a whole cluster fails.
	closed []netip.Addr
}

// Read reads a NodeReachability, which is the Report's from then on. One that cannot be
// read says nothing; Err tells why.
func Read(object *v1alpha1.NodeReachability) *Report {
	decoded, err := protocol.DecodeReport(object)
	if err != nil {
		return Unreadable(object, err)
	}
	read := &results{Report: decoded, version: versionOf(decoded.ServicesVersion)}
	read.closed = read.closedAddresses()
	object.Status = v1alpha1.NodeReachabilityStatus{RenewTime: object.Status.RenewTime, Probes: object.Status.Probes}
	return &Report{NodeReachability: *object, results: read}
}

// Unreadable returns a Report that says nothing, for the reason of err.
func Unreadable(object *v1alpha1.NodeReachability, err error) *Report {
	object.Status = v1alpha1.NodeReachabilityStatus{RenewTime: object.Status.RenewTime}
	return &Report{NodeReachability: *object, results: &results{}, err: err}
}

// Err returns why the report cannot be read, nil where it can.
func (r *Report) Err() error { return r.err }

// DeepCopyObject implements runtime.Object. What was read is never changed, and shared.
func (r *Report) DeepCopyObject() runtime.Object {
	return &Report{NodeReachability: *r.DeepCopy(), results: r.results, err: r.err}
}

// closedAddresses returns the addresses at which no node port answered. Most often that is
// none of them, or all.
func (r *results) closedAddresses() []netip.Addr {
	var closed []netip.Addr
	for _, address := range r.Addresses {
		if !r.NodePorts.IsEmpty() && r.outcomes(r.exceptionsAt(address)).Reached.IsEmpty() {
			closed = append(closed, address)
		}
	}
	if len(closed) == len(r.Addresses) {
		return r.Addresses
	}
	return closed
}

// Closed reports whether no node port answered at an address.
func (r *results) Closed(address netip.Addr) bool { return slices.Contains(r.closed, address) }

// dials reports whether the report is about an address.
func (r *results) dials(address netip.Addr) bool {
	_, found := slices.BinarySearchFunc(r.Addresses, address, netip.Addr.Compare)
	return found
}

// exceptionsAt returns the exceptions at an address, failures first.
func (r *results) exceptionsAt(address netip.Addr) (exceptions []*protocol.Exception) {
	for _, all := range [][]protocol.Exception{r.Failures, r.Pending} {
		for i := range all {
			if _, found := slices.BinarySearchFunc(all[i].Addresses, address, netip.Addr.Compare); found {
				exceptions = append(exceptions, &all[i])
			}
		}
	}
	return exceptions
}

// Outcomes are the node ports that are reached at an address, that are not, and of which
// the dials are translated. Of the rest nothing is known.
type Outcomes struct{ Reached, Failed, Translated nodeport.Set }

// outcomes returns the Outcomes at an address with some exceptions.
func (r *results) outcomes(exceptions []*protocol.Exception) Outcomes {
	var failed, silent, translated nodeport.Set
	for _, exception := range exceptions {
		switch exception.Outcome {
		case protocol.Failed:
			failed = failed.Union(exception.NodePorts)
		case protocol.Translated:
			translated = translated.Union(exception.NodePorts)
		default:
			silent = silent.Union(exception.NodePorts)
		}
	}
	failed = failed.Intersect(r.NodePorts)
	rest := r.NodePorts.Minus(failed).Minus(silent)
	translated = translated.Intersect(rest)
	return Outcomes{Reached: rest.Minus(translated), Failed: failed, Translated: translated}
}

// differing returns the node ports on which two reports may differ. It may name
// too many, never too few.
func differing(a, b *results) nodeport.Set {
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
