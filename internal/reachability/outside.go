package reachability

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/internal/protocol"
)

// hearsay is what observers out of the cluster say of one app on one node. It is kept
// apart from the words of those in the cluster: it takes part in none of their disputes.
type hearsay struct {
	reached []string
	failed  []statement
	// isolated are those of the rest that reach no node at all, on any node port: they may
	// have lost their network, or the cluster its own, and nobody can tell which.
	isolated []statement
	// cycle is the time by which every word is newer than a change.
	cycle time.Duration
	// stands is set where those that did not reach the node looked again after those in
	// the cluster did, or began to fail just before.
	stands bool
	// late is set where they did not: they may be the first to notice that the node no
	// longer answers, or the last that it does again.
	late bool
	// vouches is set where their words stand in for those of the observers in the
	// cluster, of which there are none.
	vouches bool
}

// listen gathers the words from out of the cluster on an address.
func (m *Matrix) listen(words *testimony, app *subject, address netip.Addr) {
	words.outside = hearsay{}
	for _, entry := range m.outside[address] {
		seen := entry.viewFor(app)
		said, failure := seen.about(address)
		switch {
		case entry.stale:
			continue
		case said == protocol.Reached:
			words.outside.reached = append(words.outside.reached, entry.name)
		case said == protocol.Failed && m.standingOf(entry).isolated:
			words.outside.isolated = append(words.outside.isolated, statement{by: entry, Exception: failure})
		case said == protocol.Failed:
			words.outside.failed = append(words.outside.failed, statement{by: entry, Exception: failure})
		default:
			continue
		}
		words.outside.cycle = max(words.outside.cycle, seen.cycle)
	}
}

// failures are all that did not reach the node.
func (h *hearsay) failures() []statement {
	return slices.Concat(h.failed, h.isolated)
}

// heed has the words from outside stand in for those from inside where there are none.
// Where there is nothing that should answer, or could, they hold nothing against a node.
func (t *testimony) heed() {
	inside := len(t.reached)+len(t.failed) > 0
	if t.excuse != "" || t.podless && inside {
		t.outside.failed = nil
	}
	if inside || len(t.outside.reached)+len(t.outside.failed) == 0 {
		return
	}
	t.reached, t.failed = append(t.reached, t.outside.reached...), append(t.failed, t.outside.failed...)
	t.cycle = max(t.cycle, t.outside.cycle)
	t.outside.failed, t.outside.vouches = nil, true
}

// count returns how many observers reach the node, of how many with a word on it.
func (h *hearsay) count() string {
	if heard := len(h.reached) + len(h.failed); heard > 0 {
		return fraction(len(h.reached), heard)
	}
	return ""
}

// causeOutside returns the reason and the message of a node for whose state the failures
// of observers outside have to do.
func (t *testimony) causeOutside(failed []statement, node string) (reason, message string) {
	reason = failed[0].Reason
	if t.unread.unreachable {
		return reason, ""
	}
	return reason, andThen("not from "+blame(failed)+", outside of the cluster", nextStep(reason, node))
}

// refusal tells that a node answers inside of the cluster and not outside, with the words
// of both sides.
func (t *testimony) refusal(node string) string {
	if t.unread.unreachable {
		return ""
	}
	return fmt.Sprintf("reached from %s, but not from %s, outside of the cluster; check the firewall in front of %s",
		list(slices.Concat(t.reached, t.outside.reached)), blame(t.outside.failed), node)
}

// forsaken names the observers outside whose words do not count.
func forsaken(isolated []statement) string {
	observers := make([]string, 0, len(isolated))
	for _, failure := range isolated {
		observers = append(observers, failure.by.name)
	}
	return "set aside: " + list(observers) + ", outside of the cluster, which reaches no node: see its network"
}
