package reachability

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/internal/protocol"
)

// testimony is what the observers of one node say of one app.
type testimony struct {
	// address is that of the node, in writing, and dialled where it should answer.
	address string
	dialled netip.AddrPort
	// unread is what nobody reads of it.
	unread unread
	// reached are the observers that got an answer, confirmed those of them
	// whose word is newer than that of the observers that got none.
	reached, confirmed []string
	failed             []statement
	// silent are the observers that have a fresh report, but no word on the app
	// as it is now.
	silent []string
	// translated are the observers whose own kernels take their dials elsewhere, and
	// hosts those on whose own hosts the address is as well. Neither have a word on the
	// node.
	translated []statement
	hosts      []string
	// aside are the observers that got no answer and reach no other node
	// either, where others do. While that is being found out, they are nowhere.
	aside []string
	// outside is what those say that are out of the cluster.
	outside hearsay
	// sure is set where a failure is newer than the words of those confirmed, of
	// which there is one at least.
	sure bool
	// excuse is why the node is not expected to answer, if it is not.
	excuse string
	// podless is set where the node is expected to answer, but no pod could. The
	// errors of the dials mean nothing then: kube-proxy's rejections pass a rate limit
	// of the kernel, so refusals and timeouts take turns.
	podless bool
	// selfOnly is set where the node's own word had to do.
	selfOnly bool
	// itself is the node's own word, which is no proof, but a clue. For as long as
	// it is fresh, what the others say may be older.
	itself protocol.Outcome
	fresh  time.Duration
	// assents is whether the node's own agent is there, and says nothing against it.
	assents bool
	// others tells whether an observer reaches the node on other node ports. It is nil
	// where nobody reads what is behind a failure.
	others func(observer string) protocol.Outcome
	// cycle is the time by which every word is newer than a change.
	cycle time.Duration
	// holds is when to listen again, 0 for when there is another report.
	holds time.Duration
}

// statement is what one observer says beside that it did not reach the node.
type statement struct {
	by *entry
	*protocol.Exception
	since time.Time
	// stands is set where it goes on beside the answers of others.
	stands bool
	// suspect is set where the observer may be the problem.
	suspect bool
}

// unread is of what verdicts nobody reads who says so: of an unreachable node, and of the
// rest.
type unread struct{ unreachable, rest bool }

// told returns what is said of a node that is not unreachable, if anybody reads it.
func (t *testimony) told(text func() string) string {
	if t.unread.rest {
		return ""
	}
	return text()
}

// words gathers the words on a node. Its own counts only where it is alone.
func (m *Matrix) words(
	app *subject, node *place, family corev1.IPFamily, unread unread, now time.Time,
) testimony {
	words := testimony{
		unread:  unread,
		reached: m.heard.reached[:0], failed: m.heard.failed[:0], silent: m.heard.silent[:0],
		translated: m.heard.translated[:0],
		selfOnly:   len(m.alive) == 1, excuse: excuse(app, node, family),
	}
	at := node.in(family)
	if at == nil {
		return words
	}
	address := at.address
	words.address, words.dialled = at.text, netip.AddrPortFrom(address, uint16(app.Service.NodePort))
	for _, entry := range m.observers[address] {
		m.hear(&words, entry, app, node.Name, address, now)
	}
	m.listen(&words, app, address)
	words.podless = words.excuse == "" && !app.Endpoints.ReadyIn(family)
	if words.podless {
		// It does not matter who gets an answer, nor since when.
		m.release(app, address)
		return words
	}
	m.dateAll(&words, app, address, now)
	m.weigh(&words, app, address, now)
	return words
}

// hear adds what an observer in the cluster says of an app at an address of a node.
func (m *Matrix) hear(
	words *testimony, entry *entry, app *subject, node string, address netip.Addr, now time.Time,
) {
	observer, seen := entry.name, entry.viewFor(app)
	said, beside := seen.about(address)
	if observer == node {
		if said == protocol.Reached || said == protocol.Failed {
			words.itself = said
		}
		words.assents = entry.alive && !entry.stale && said != protocol.Failed
		words.fresh = max(entry.changed.Add(seen.cycle).Sub(now), 0)
	}
	switch {
	case !entry.alive || entry.stale || (observer == node) != words.selfOnly:
		return
	case said == protocol.OwnHost || observer != node && entry.owns(address):
		words.hosts = append(words.hosts, observer)
		return
	case said == protocol.Translated:
		words.translated = append(words.translated, statement{by: entry, Exception: beside})
		return
	}
	words.cycle = max(words.cycle, seen.cycle)
	switch said {
	case protocol.Reached:
		words.reached = append(words.reached, observer)
	case protocol.Failed:
		words.failed = append(words.failed, statement{by: entry, Exception: beside})
	default:
		words.silent = append(words.silent, observer)
	}
}

// weigh holds the words against each other: which are newer than their
// contradiction, and which observers may be heard at all.
func (m *Matrix) weigh(words *testimony, app *subject, address netip.Addr, now time.Time) {
	left := app.contest(words, address, now)
	if words.excuse == "" && len(words.reached) > 0 && (len(words.failed) > 0 || left > 0) {
		m.question(words, app, address, left > 0, now)
	} else {
		m.closeDoubt(app, address)
	}
	switch {
	case words.outside.stands && len(words.outside.isolated) == 0:
		app.contested[address] = time.Time{}
	case left > 0:
		// Until it is found out, those that reach no node at all say nothing: they may be the
		// first to notice that no node answers, also where they have looked again.
		words.outside.late, words.outside.isolated = !words.outside.stands, nil
		words.wait(left)
	}
	if !words.selfOnly {
		m.sift(words, app.doubts[address], now)
	}
	if words.fresh > 0 && len(words.failed) > 0 {
		words.wait(words.fresh)
	}
	if !words.unread.unreachable {
		words.others = func(observer string) protocol.Outcome { return m.others(observer, app, address) }
	}
}

// question asks the observers that disagree to look again, and notes which have. Those out
// of the cluster are asked while it is open whether they contradict those in it. Where too
// many disagree for that, it is for the reports to tell.
func (m *Matrix) question(words *testimony, app *subject, address netip.Addr, contested bool, now time.Time) {
	open := m.openDoubt(app, address, now)
	if open == nil {
		words.wait(words.cycle)
		return
	}
	var outside []statement
	if contested {
		outside = words.outside.failures()
	}
	observers := slices.Clone(words.reached)
	for _, failure := range slices.Concat(words.failed, outside) {
		observers = append(observers, failure.by.name)
	}
	m.disagree(open, app, address, observers, now)
	for _, observer := range words.reached {
		if open.confirmed(observer) {
			words.confirmed = append(words.confirmed, observer)
		}
	}
	for i := range words.failed {
		failure := &words.failed[i]
		failure.stands = m.stands(open, failure, words.confirmed, now)
		words.sure = words.sure || failure.stands
	}
	words.outside.stands = contested
	// A failure that is heard of just after the node was back may be from before.
	recovers := now.Before(app.recovered[address].Add(words.outside.cycle))
	for i := range outside {
		if recovers {
			outside[i].since = time.Time{}
		}
		words.outside.stands = m.stands(open, &outside[i], words.confirmed, now) && words.outside.stands
	}
	if !words.sure || len(words.confirmed) < len(words.reached) {
		// Who does not look again is heard when its turn has come.
		words.wait(max(open.began.Add(words.cycle).Sub(now), 0) + protocol.PromptHeartbeat)
	}
}

// settled returns how to ask whether every word is newer than the last change of
// the endpoints. Where that takes a time yet, the verdict holds for no longer.
func (t *testimony) settled(left time.Duration) func() bool {
	return func() bool {
		if left > 0 {
			t.wait(left)
		}
		return left <= 0
	}
}

// wait listens again after a time, or earlier.
func (t *testimony) wait(left time.Duration) {
	if t.holds == 0 || left < t.holds {
		t.holds = left
	}
}

// others tells whether an observer reaches an address on other node ports:
// Silent where there are none.
func (m *Matrix) others(observer string, app *subject, address netip.Addr) protocol.Outcome {
	entry, found := m.reports[observer], protocol.Silent
	for _, other := range m.apps {
		if other == app || !other.dialledOn(address) {
			continue
		}
		switch entry.about(address, other) {
		case protocol.Reached:
			return protocol.Reached
		case protocol.Failed:
			if entry.isShut(address) {
				return protocol.Failed
			}
			found = protocol.Failed
		}
	}
	return found
}

// blame names the observers that failed and the raw errors of their dials.
func (t *testimony) blame() string {
	if t.podless {
		return noReadyEndpoints
	}
	return blame(t.failed)
}

// complaints does so with those in the cluster and out of it.
func (t *testimony) complaints() string {
	if t.podless {
		return noReadyEndpoints
	}
	return blame(slices.Concat(t.failed, t.outside.failed))
}

func blame(failures []statement) string {
	byError := make(map[string][]string)
	var order []string
	for _, failure := range failures {
		text := failure.Reason + ": " + failure.Message
		if byError[text] == nil {
			order = append(order, text)
		}
		byError[text] = append(byError[text], failure.by.name)
	}
	slices.Sort(order)
	parts := make([]string, 0, len(order))
	for _, text := range order {
		parts = append(parts, fmt.Sprintf("%s (%s)", list(byError[text]), text))
	}
	return strings.Join(parts, "; ")
}

// list names at most three observers.
func list(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
