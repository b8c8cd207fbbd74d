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
	// NodeReachability has of its status what others than the Matrix use: when the
	// report was renewed, and the counts of the probes.
	v1alpha1.NodeReachability

	said *report
	err  error
}

// Read reads a NodeReachability, which is the Report's from then on. One that cannot be
// read says nothing; Err tells why.
func Read(object *v1alpha1.NodeReachability) *Report {
	decoded, err := protocol.DecodeReport(object)
	if err != nil {
		return Unreadable(object, err)
	}
	said := &report{Report: decoded}
	said.shut = shut(said)
	object.Status = v1alpha1.NodeReachabilityStatus{RenewTime: object.Status.RenewTime, Probes: object.Status.Probes}
	return &Report{NodeReachability: *object, said: said}
}

// Unreadable returns a Report that says nothing, for the reason of err.
func Unreadable(object *v1alpha1.NodeReachability, err error) *Report {
	object.Status = v1alpha1.NodeReachabilityStatus{RenewTime: object.Status.RenewTime}
	return &Report{NodeReachability: *object, said: &report{}, err: err}
}

// Err returns why the report cannot be read, nil where it can.
func (r *Report) Err() error { return r.err }

// DeepCopyObject implements runtime.Object. What was read is never changed, and shared.
func (r *Report) DeepCopyObject() runtime.Object {
	return &Report{NodeReachability: *r.DeepCopy(), said: r.said, err: r.err}
}

// report is a decoded NodeReachability status.
type report struct {
	protocol.Report
	// shut are the addresses at which no node port answered. Much needs no second
	// look there, when a whole cluster fails.
	shut []netip.Addr
}

// shut returns the addresses at which no node port of a report answered. Most often
// that is none of them, or all.
func shut(r *report) []netip.Addr {
	var closed []netip.Addr
	for _, address := range r.Addresses {
		if reached, _, _ := r.outcome(address); reached.IsEmpty() && !r.NodePorts.IsEmpty() {
			closed = append(closed, address)
		}
	}
	if len(closed) == len(r.Addresses) {
		return r.Addresses
	}
	return closed
}

// isShut tells whether no node port answered at an address.
func (r *report) isShut(address netip.Addr) bool { return slices.Contains(r.shut, address) }

// differing returns the node ports on which two reports may differ. It may name
// too many, never too few.
func differing(a, b *report) nodeport.Set {
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
