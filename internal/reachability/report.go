package reachability

import (
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
)

// word is what one report says of one node port on one address.
type word int

const (
	// silent: the report does not cover it, or has no result yet.
	silent word = iota
	reached
	failed
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
	said, err := decode(&object.Status)
	if err != nil {
		return Unreadable(object, err)
	}
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
	// version is the resourceVersion of the Services that the report covers.
	version string
	// recheckRound is the newest request to look again that it answers.
	recheckRound int64
	// addresses are those that the observer dials, ascending.
	addresses []netip.Addr
	nodePorts nodeport.Set
	failures  []exception
	pending   []exception
	// shut are the addresses at which no node port answered. Much needs no second
	// look there, when a whole cluster fails.
	shut []netip.Addr
}

// exception is a set of node ports that were not reached on some addresses.
type exception struct {
	reason    string
	message   string
	evidence  v1alpha1.Evidence
	nodePorts nodeport.Set
	addresses []netip.Addr
}

// decode reads a report. It fails on text that no agent writes: a report that
// cannot be read in full says nothing.
func decode(status *v1alpha1.NodeReachabilityStatus) (*report, error) {
	decoded := &report{
		version:      status.ServicesResourceVersion,
		recheckRound: status.RecheckRound,
	}
	addresses, err := parseAddresses(status.Addresses)
	if err != nil {
		return nil, fmt.Errorf("status.addresses: %w", err)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	decoded.addresses = slices.Compact(addresses)
	if decoded.nodePorts, err = nodeport.Parse(status.NodePorts); err != nil {
		return nil, fmt.Errorf("status.nodePorts: %w", err)
	}
	decoded.failures = slices.Grow(decoded.failures, len(status.Failures))
	for i, failure := range status.Failures {
		entry, err := decodeException(failure.NodePorts, failure.Addresses)
		if err != nil {
			return nil, fmt.Errorf("status.failures[%d]: %w", i, err)
		}
		entry.reason, entry.message = failure.Reason, failure.Message
		if failure.Evidence != nil {
			entry.evidence = *failure.Evidence
		}
		decoded.failures = append(decoded.failures, entry)
	}
	decoded.pending = slices.Grow(decoded.pending, len(status.Pending))
	for i, pending := range status.Pending {
		entry, err := decodeException(pending.NodePorts, pending.Addresses)
		if err != nil {
			return nil, fmt.Errorf("status.pending[%d]: %w", i, err)
		}
		decoded.pending = append(decoded.pending, entry)
	}
	decoded.shut = shut(decoded)
	return decoded, nil
}

// shut returns the addresses at which no node port of a report answered. Most often
// that is none of them, or all.
func shut(r *report) []netip.Addr {
	var closed []netip.Addr
	for _, address := range r.addresses {
		if reached, _ := r.outcome(address); reached.IsEmpty() && !r.nodePorts.IsEmpty() {
			closed = append(closed, address)
		}
	}
	if len(closed) == len(r.addresses) {
		return r.addresses
	}
	return closed
}

// isShut tells whether no node port answered at an address.
func (r *report) isShut(address netip.Addr) bool { return slices.Contains(r.shut, address) }

func decodeException(nodePorts string, addresses []string) (exception, error) {
	set, err := nodeport.Parse(nodePorts)
	if err != nil {
		return exception{}, fmt.Errorf("nodePorts: %w", err)
	}
	parsed, err := parseAddresses(addresses)
	if err != nil {
		return exception{}, fmt.Errorf("addresses: %w", err)
	}
	return exception{nodePorts: set, addresses: parsed}, nil
}

func parseAddresses(texts []string) ([]netip.Addr, error) {
	addresses := make([]netip.Addr, 0, len(texts))
	for _, text := range texts {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

func (e *exception) covers(address netip.Addr, nodePort int32) bool {
	return e.nodePorts.Contains(uint16(nodePort)) && slices.Contains(e.addresses, address)
}

func (e *exception) equal(other *exception) bool {
	return e.reason == other.reason && e.message == other.message && e.evidence == other.evidence &&
		e.nodePorts.Equal(other.nodePorts) && slices.Equal(e.addresses, other.addresses)
}

// differing returns the node ports on which two reports may differ. It may name
// too many, never too few.
func differing(a, b *report) nodeport.Set {
	if !slices.Equal(a.addresses, b.addresses) {
		return a.nodePorts.Union(b.nodePorts)
	}
	ports := a.nodePorts.Differ(b.nodePorts)
	for _, pair := range [][2][]exception{{a.failures, b.failures}, {a.pending, b.pending}} {
		ports = ports.Union(onlyIn(pair[0], pair[1])).Union(onlyIn(pair[1], pair[0]))
	}
	return ports
}

// onlyIn returns the node ports of the exceptions that a has and b has not.
func onlyIn(a, b []exception) nodeport.Set {
	var ports nodeport.Set
	for i := range a {
		if !slices.ContainsFunc(b, func(e exception) bool { return e.equal(&a[i]) }) {
			ports = ports.Union(a[i].nodePorts)
		}
	}
	return ports
}
