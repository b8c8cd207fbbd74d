package reachability

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

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
	if len(text) <= maxMessage {
		return text
	}
	end := maxMessage
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
