package protocol

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/truncate"
)

// MaxText is how much text, in bytes, a report may have in all. Agents write half of that
// at most, and what is longer is not even parsed.
const MaxText = 16 << 10

// Outcome is what one report says of one node port on one address.
type Outcome int

const (
	// Silent: the report does not cover it, or has no result yet.
	Silent Outcome = iota
	Reached
	Failed
	// OwnHost: the address is one of the observer's own host, which it cannot observe.
	OwnHost
	// Translated: the observer's own kernel takes its dials elsewhere, so that neither
	// their success nor their failure says anything about the node.
	Translated
)

// Report is what an observer found: each of NodePorts was reached on each of Addresses,
// but for the exceptions.
type Report struct {
	// ServicesVersion is the resourceVersion of the Services that the report covers.
	ServicesVersion string
	// RecheckRound is the newest recheck that it answers.
	RecheckRound int64
	// Addresses are those that the observer dials, ascending.
	Addresses []netip.Addr
	NodePorts nodeport.Set
	Failures  []Exception
	// Pending are the pairs without a verdict, those last that are Translated.
	Pending []Exception
}

// Exception is a set of node ports that were not reached on some addresses.
type Exception struct {
	Outcome Outcome
	// Reason of a failure, as in v1alpha1.ProbeFailure.
	Reason string
	// Message is the raw error of a failure, or where Translated dials ended, if known.
	Message   string
	Evidence  v1alpha1.Evidence
	NodePorts nodeport.Set
	Addresses []netip.Addr
}

// Equal reports whether two exceptions say the same.
func (e *Exception) Equal(other *Exception) bool {
	return e.Outcome == other.Outcome && e.Reason == other.Reason && e.Message == other.Message && e.Evidence == other.Evidence &&
		e.NodePorts.Equal(other.NodePorts) && slices.Equal(e.Addresses, other.Addresses)
}

// Encode returns the status of a NodeReachability that says so.
func (r *Report) Encode() v1alpha1.NodeReachabilityStatus {
	status := v1alpha1.NodeReachabilityStatus{
		ServicesResourceVersion: r.ServicesVersion,
		RecheckRound:            r.RecheckRound,
		Addresses:               encodeAddresses(r.Addresses),
		NodePorts:               r.NodePorts.String(),
	}
	for i := range r.Failures {
		status.Failures = append(status.Failures, r.Failures[i].EncodeFailure())
	}
	for i := range r.Pending {
		status.Pending = append(status.Pending, r.Pending[i].encodePending())
	}
	return status
}

// EncodeFailure returns the entry of status.failures that says so.
func (e Exception) EncodeFailure() v1alpha1.ProbeFailure {
	failure := v1alpha1.ProbeFailure{
		Reason: e.Reason, Message: e.Message, NodePorts: e.NodePorts.String(), Addresses: encodeAddresses(e.Addresses),
	}
	if e.Evidence != (v1alpha1.Evidence{}) {
		failure.Evidence = new(e.Evidence)
	}
	return failure
}

func (e Exception) encodePending() v1alpha1.PendingProbes {
	pending := v1alpha1.PendingProbes{NodePorts: e.NodePorts.String(), Addresses: encodeAddresses(e.Addresses)}
	switch e.Outcome {
	case Translated:
		pending.Reason, pending.TranslatedTo = v1alpha1.ReasonTranslatedAtSource, e.Message
	case OwnHost:
		pending.Reason = v1alpha1.PendingOwnAddress
	}
	return pending
}

// DecodeReport reads the report of an observer, as far as that may speak: of the addresses
// of its spec.targets, and of the rounds of its spec.recheck. It fails on text that no
// agent writes, and names the field: a report that cannot be read in full says nothing.
func DecodeReport(object *v1alpha1.NodeReachability) (Report, error) {
	status := &object.Status
	if length := textOf(status); length > MaxText {
		return Report{}, fmt.Errorf("status: it has %d characters of text, more than %d", length, MaxText)
	}
	decoded := Report{ServicesVersion: status.ServicesResourceVersion}
	if asked := object.Spec.Recheck; asked != nil {
		decoded.RecheckRound = min(status.RecheckRound, asked.Round)
	}
	given := given(object)
	var err error
	if decoded.Addresses, err = decodeAddresses(status.Addresses); err != nil {
		return Report{}, fmt.Errorf("status.addresses: %w", err)
	}
	decoded.Addresses = common(decoded.Addresses, given)
	if decoded.NodePorts, err = nodeport.Parse(status.NodePorts); err != nil {
		return Report{}, fmt.Errorf("status.nodePorts: %w", err)
	}
	if decoded.Failures, err = decodeFailures(status.Failures, given); err != nil {
		return Report{}, err
	}
	if decoded.Pending, err = decodePending(status.Pending, given); err != nil {
		return Report{}, err
	}
	return decoded, nil
}

func decodeFailures(failures []v1alpha1.ProbeFailure, given []netip.Addr) ([]Exception, error) {
	decoded := make([]Exception, 0, len(failures))
	for i := range failures {
		failure := &failures[i]
		entry, err := decodeException(failure.NodePorts, failure.Addresses)
		if err != nil {
			return nil, fmt.Errorf("status.failures[%d]: %w", i, err)
		}
		entry.Outcome, entry.Reason, entry.Message = Failed, knownReason(failure.Reason), clean(failure.Message)
		entry.Evidence = knownEvidence(failure.Evidence)
		decoded = appendWithin(decoded, entry, given)
	}
	return decoded, nil
}

func decodePending(pending []v1alpha1.PendingProbes, given []netip.Addr) ([]Exception, error) {
	decoded := make([]Exception, 0, len(pending))
	for i := range pending {
		entry, err := decodeException(pending[i].NodePorts, pending[i].Addresses)
		if err != nil {
			return nil, fmt.Errorf("status.pending[%d]: %w", i, err)
		}
		switch pending[i].Reason {
		case v1alpha1.ReasonTranslatedAtSource:
			entry.Outcome, entry.Message = Translated, knownPlace(pending[i].TranslatedTo)
		case v1alpha1.PendingOwnAddress:
			entry.Outcome = OwnHost
		}
		decoded = appendWithin(decoded, entry, given)
	}
	slices.SortStableFunc(decoded, func(a, b Exception) int {
		switch {
		case a.Outcome == b.Outcome || a.Outcome != Translated && b.Outcome != Translated:
			return 0
		case a.Outcome == Translated:
			return 1
		}
		return -1
	})
	return decoded, nil
}

// appendWithin appends an exception as far as it is about addresses that the observer was
// given.
func appendWithin(all []Exception, one Exception, given []netip.Addr) []Exception {
	one.Addresses = common(one.Addresses, given)
	if len(one.Addresses) == 0 || one.NodePorts.IsEmpty() {
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

func decodeException(nodePorts string, addresses []string) (Exception, error) {
	set, err := nodeport.Parse(nodePorts)
	if err != nil {
		return Exception{}, fmt.Errorf("nodePorts: %w", err)
	}
	parsed, err := decodeAddresses(addresses)
	if err != nil {
		return Exception{}, fmt.Errorf("addresses: %w", err)
	}
	return Exception{NodePorts: set, Addresses: parsed}, nil
}

func encodeAddresses(addresses []netip.Addr) []string {
	var texts []string
	for _, address := range addresses {
		texts = append(texts, address.String())
	}
	return texts
}

func decodeAddresses(texts []string) ([]netip.Addr, error) {
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

// What agents write goes on into statuses, Events and logs, which people read in
// terminals. So of their words only known ones are passed on, and of their texts what can
// be printed.

// maxMessage bounds the raw error of a dial, in bytes.
const maxMessage = 160

// textOf returns how much text a report has.
func textOf(status *v1alpha1.NodeReachabilityStatus) int {
	length := len(status.ServicesResourceVersion) + len(status.NodePorts) + textIn(status.Addresses)
	for i := range status.Failures {
		failure := &status.Failures[i]
		length += len(failure.Reason) + len(failure.Message) + len(failure.NodePorts) + textIn(failure.Addresses)
		if evidence := failure.Evidence; evidence != nil {
			length += len(evidence.Pod) + len(evidence.ClusterIP) + len(evidence.KubeProxy)
		}
	}
	for i := range status.Pending {
		pending := &status.Pending[i]
		length += len(pending.Reason) + len(pending.TranslatedTo) + len(pending.NodePorts) + textIn(pending.Addresses)
	}
	return length
}

func textIn(texts []string) (length int) {
	for _, text := range texts {
		length += len(text)
	}
	return length
}

// knownReason returns the reason of a failure, Other for one that is not known.
func knownReason(reason string) string {
	if v1alpha1.IsDialReason(reason) {
		return reason
	}
	return v1alpha1.ReasonOther
}

// knownEvidence returns what an observer found on other ways. What is not known there
// proves nothing, and counts as not tried.
func knownEvidence(evidence *v1alpha1.Evidence) v1alpha1.Evidence {
	if evidence == nil {
		return v1alpha1.Evidence{}
	}
	known := func(said string) string {
		if said == v1alpha1.EvidenceReached || v1alpha1.IsDialReason(said) {
			return said
		}
		return ""
	}
	return v1alpha1.Evidence{
		Pod: known(evidence.Pod), ClusterIP: known(evidence.ClusterIP), KubeProxy: known(evidence.KubeProxy),
	}
}

// knownPlace returns an address and a port, or nothing in place of what is none.
func knownPlace(text string) string {
	place, err := netip.ParseAddrPort(text)
	if err != nil || place.Addr().Zone() != "" {
		return ""
	}
	return text
}

// clean rids a text of what does not print, such as escapes and marks of direction, and
// bounds it.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	return truncate.Text(text, maxMessage)
}
