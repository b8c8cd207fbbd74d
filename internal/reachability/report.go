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
	// translated: the observer's own kernel takes its dials elsewhere, so that neither
	// their success nor their failure is a word on the node.
	translated
	// ownHost: the address is one of the observer's own host, which it cannot observe.
	ownHost
)

// maxText is how much text a report may have in all. Agents write half of that at most,
// and what is longer is not even parsed.
const maxText = 16 << 10

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
	said, err := decode(object)
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
	// recheckRound is the newest request to look again that it answers, of those that
	// the observer was asked.
	recheckRound int64
	// addresses are those that the observer dials, of those that it was given, ascending.
	addresses []netip.Addr
	nodePorts nodeport.Set
	failures  []exception
	// pending are the pairs without a word, those last of which the dials are translated.
	pending []exception
	// shut are the addresses at which no node port answered. Much needs no second
	// look there, when a whole cluster fails.
	shut []netip.Addr
}

// exception is a set of node ports that were not reached on some addresses.
type exception struct {
	// said is what that means.
	said      word
	reason    string
	message   string
	evidence  v1alpha1.Evidence
	nodePorts nodeport.Set
	addresses []netip.Addr
}

// decode reads the report of an observer, as far as that may speak: of the addresses that
// it was given, and of the rounds that it was asked. It fails on text that no agent writes:
// a report that cannot be read in full says nothing.
func decode(object *v1alpha1.NodeReachability) (*report, error) {
	status := &object.Status
	if length := textOf(status); length > maxText {
		return nil, fmt.Errorf("status: it has %d characters of text, more than %d", length, maxText)
	}
	decoded := &report{version: status.ServicesResourceVersion}
	if asked := object.Spec.Recheck; asked != nil {
		decoded.recheckRound = min(status.RecheckRound, asked.Round)
	}
	given := given(object)
	var err error
	if decoded.addresses, err = parseAddresses(status.Addresses); err != nil {
		return nil, fmt.Errorf("status.addresses: %w", err)
	}
	decoded.addresses = common(decoded.addresses, given)
	if decoded.nodePorts, err = nodeport.Parse(status.NodePorts); err != nil {
		return nil, fmt.Errorf("status.nodePorts: %w", err)
	}
	if decoded.failures, err = decodeFailures(status.Failures, given); err != nil {
		return nil, err
	}
	if decoded.pending, err = decodePending(status.Pending, given); err != nil {
		return nil, err
	}
	decoded.shut = shut(decoded)
	return decoded, nil
}

func decodeFailures(failures []v1alpha1.ProbeFailure, given []netip.Addr) ([]exception, error) {
	decoded := make([]exception, 0, len(failures))
	for i := range failures {
		failure := &failures[i]
		entry, err := decodeException(failure.NodePorts, failure.Addresses)
		if err != nil {
			return nil, fmt.Errorf("status.failures[%d]: %w", i, err)
		}
		entry.said, entry.reason, entry.message = failed, knownReason(failure.Reason), clean(failure.Message)
		entry.evidence = knownEvidence(failure.Evidence)
		decoded = appendWithin(decoded, entry, given)
	}
	return decoded, nil
}

func decodePending(pending []v1alpha1.PendingProbes, given []netip.Addr) ([]exception, error) {
	decoded := make([]exception, 0, len(pending))
	for i := range pending {
		entry, err := decodeException(pending[i].NodePorts, pending[i].Addresses)
		if err != nil {
			return nil, fmt.Errorf("status.pending[%d]: %w", i, err)
		}
		switch pending[i].Reason {
		case v1alpha1.ReasonTranslatedAtSource:
			entry.said, entry.message = translated, knownPlace(pending[i].TranslatedTo)
		case v1alpha1.PendingOwnAddress:
			entry.said = ownHost
		}
		decoded = appendWithin(decoded, entry, given)
	}
	slices.SortStableFunc(decoded, func(a, b exception) int {
		switch {
		case a.said == b.said || a.said != translated && b.said != translated:
			return 0
		case a.said == translated:
			return 1
		}
		return -1
	})
	return decoded, nil
}

// appendWithin appends an exception as far as it is about addresses that the observer was
// given.
func appendWithin(all []exception, one exception, given []netip.Addr) []exception {
	one.addresses = common(one.addresses, given)
	if len(one.addresses) == 0 || one.nodePorts.IsEmpty() {
		return all
	}
	return append(all, one)
}

// given returns the addresses that an observer was given to dial, ascending. What it says
// of others nobody asked it, and nobody believes.
func given(object *v1alpha1.NodeReachability) []netip.Addr {
	addresses := make([]netip.Addr, 0, len(object.Spec.Targets))
	for i := range object.Spec.Targets {
		for _, text := range object.Spec.Targets[i].Addresses {
			if address, err := netip.ParseAddr(text); err == nil {
				addresses = append(addresses, address)
			}
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// common returns the addresses that were given, ascending and each once. It takes their
// room.
func common(addresses, given []netip.Addr) []netip.Addr {
	addresses = slices.DeleteFunc(addresses, func(address netip.Addr) bool {
		_, found := slices.BinarySearchFunc(given, address, netip.Addr.Compare)
		return !found
	})
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// shut returns the addresses at which no node port of a report answered. Most often
// that is none of them, or all.
func shut(r *report) []netip.Addr {
	var closed []netip.Addr
	for _, address := range r.addresses {
		if reached, _, _ := r.outcome(address); reached.IsEmpty() && !r.nodePorts.IsEmpty() {
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
	return e.said == other.said && e.reason == other.reason && e.message == other.message && e.evidence == other.evidence &&
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
