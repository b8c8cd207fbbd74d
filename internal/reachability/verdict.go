package reachability

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// atOnce is on how many nodes an app is judged before a report may be folded in. On
// thousands it takes as long as it takes dozens of reports to come, and who waits for a
// lock gets it no more often than who holds it.
const atOnce = 64

// Explained is how many verdicts tell who says so, and why. On a cluster of thousands that
// took half of the time, and nobody reads so many. Where as many nodes before it are as
// bad, or worse, a verdict may give its state and reason alone.
const Explained = 24

// AppendVerdicts judges an app on every node that is known, once per IP family of
// its Service, and appends that to verdicts. They may be thousands, which are worth
// being overwritten by those of the next app. wake is how long they hold if nothing
// is heard: 0 when they hold for good. They carry no lastTransitionTime.
func (m *Matrix) AppendVerdicts(
	verdicts []v1alpha1.NodeVerdict, key types.NamespacedName, now time.Time,
) (_ []v1alpha1.NodeVerdict, wake time.Duration) {
	m.judging.Lock()
	defer m.judging.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	app := m.apps[key]
	if app == nil || app.Service.NodePort == 0 {
		return verdicts, 0
	}
	verdicts = slices.Grow(verdicts, len(m.nodes)*len(app.Families))
	unreachable, unknown := 0, 0
	for i := range m.nodes {
		if i%atOnce == atOnce-1 {
			m.mu.Unlock()
			m.mu.Lock()
		}
		unread := unread{unreachable: unreachable >= Explained, rest: unreachable+unknown >= Explained}
		for _, family := range app.Families {
			verdict, holds, plain := m.plain(app, &m.nodes[i], family, unread, now)
			if !plain {
				m.heard = m.words(app, &m.nodes[i], family, unread, now)
				verdict, holds = judge(app, &m.nodes[i].Node, family, m.heard, now)
			}
			verdicts = append(verdicts, verdict)
			switch {
			case verdict.Expected && verdict.State == v1alpha1.NodeUnreachable:
				unreachable++
			case verdict.Expected && verdict.State == v1alpha1.NodeUnknown:
				unknown++
			}
			if holds > 0 && (wake == 0 || holds < wake) {
				wake = holds
			}
		}
	}
	app.judged = true
	return verdicts, wake
}

// judge gives the verdict on one node in one IP family, and how long it holds
// if nothing is heard.
func judge(
	app *subject, node *Node, family corev1.IPFamily, words testimony, now time.Time,
) (v1alpha1.NodeVerdict, time.Duration) {
	verdict := v1alpha1.NodeVerdict{Node: node.Name, Family: family, Expected: true, Address: words.address}
	if heard := len(words.reached) + len(words.failed) + len(words.silent); heard > 0 && !words.unread.unreachable {
		verdict.Observers = fraction(len(words.reached), heard)
	}
	if !words.unread.unreachable {
		verdict.Outside = words.outside.count()
	}
	words.heed()
	if holds := conclude(&verdict, &words, now.Sub(app.lastChange(node))); holds > 0 {
		words.wait(holds)
	}

	settled := words.settled(app.moved.Add(words.cycle).Sub(now))
	if words.excuse != "" {
		pardon(&verdict, &words)
		if serves, _ := app.Endpoints.on(node.Name, family); words.excuse == v1alpha1.ReasonNoLocalEndpoint && !serves {
			disclose(&verdict, &words, settled)
		}
	} else {
		attribute(&verdict, app.Endpoints, settled)
	}
	return verdict, words.holds
}

// pardon tells that a node is not expected to answer, and what was found all the
// same.
func pardon(verdict *v1alpha1.NodeVerdict, words *testimony) {
	verdict.Expected = false
	verdict.Reason, verdict.Message = words.excuse, excused(words.excuse, verdict.Family)
	// Of a node that is left out nobody asks for more: it may be one that never answers.
	if len(words.failed) > 0 && words.excuse != v1alpha1.ReasonNoLocalEndpoint &&
		words.excuse != v1alpha1.ReasonNodeExcluded {
		verdict.Message += words.told(func() string { return "; not from " + words.blame() })
	}
}

// disclose tells of a node that should drop what comes, and answers.
func disclose(verdict *v1alpha1.NodeVerdict, words *testimony, settled func() bool) {
	if verdict.State != v1alpha1.NodeReachable || !settled() {
		return
	}
	verdict.Reason, verdict.Message = v1alpha1.ReasonUnexpectedAnswer, unexpectedAnswer
	if len(words.silent) == 0 && !words.outside.vouches {
		verdict.Message += orTranslated
	}
}

// attribute holds a node's state against whether there is a pod that could
// answer.
func attribute(verdict *v1alpha1.NodeVerdict, endpoints Endpoints, settled func() bool) {
	answers := verdict.State == v1alpha1.NodeReachable
	switch {
	case !answers && !endpoints.ReadyIn(verdict.Family):
		verdict.Reason, verdict.Message = v1alpha1.ReasonNoReadyEndpoints, noReadyEndpoints
	case answers && !endpoints.servedIn(verdict.Family) && settled():
		verdict.State = v1alpha1.NodeUnreachable
		verdict.Reason, verdict.Message = v1alpha1.ReasonNotServed, notServed
	case answers && !endpoints.servedIn(verdict.Family):
		// The answers may be from before the last pod went.
		verdict.State = v1alpha1.NodeUnknown
		verdict.Reason, verdict.Message = v1alpha1.ReasonNoReadyEndpoints, noReadyEndpoints
	}
}

// conclude turns the words on a node into its state. quiet is the time since
// anything about the app or the node changed.
func conclude(verdict *v1alpha1.NodeVerdict, words *testimony, quiet time.Duration) time.Duration {
	is := func(state v1alpha1.NodeState, reason, message string) {
		verdict.State, verdict.Reason, verdict.Message = state, reason, message
	}
	unknown := func(reason string, message func() string) {
		is(v1alpha1.NodeUnknown, reason, words.told(message))
	}
	complete := len(words.silent) == 0 || quiet >= grace
	switch {
	case len(words.failed)+len(words.outside.failed) > 0 && quiet < settle:
		unknown(v1alpha1.ReasonPending, func() string { return "not yet: " + words.complaints() })
		return settle - quiet
	case len(words.failed) > 0:
		reason, message := words.cause(verdict.Node)
		is(v1alpha1.NodeUnreachable, reason, message)
	case len(words.outside.failed) > 0 && words.outside.late:
		reason, message := words.causeOutside(words.outside.failed, verdict.Node)
		is(v1alpha1.NodeUnreachable, reason, message)
	case len(words.outside.failed) > 0:
		is(v1alpha1.NodeUnreachable, v1alpha1.ReasonOutsideUnreachable, words.refusal(verdict.Node))
	case len(words.reached) > 0 && complete:
		reason, message := words.reservation()
		is(v1alpha1.NodeReachable, reason, message)
	case len(words.translated) > 0 && complete:
		unknown(v1alpha1.ReasonTranslatedAtSource, words.translation)
	case len(words.hosts) > 0 && len(words.silent) == 0:
		unknown(v1alpha1.ReasonNoObserver, words.hosted)
	case quiet < grace:
		is(v1alpha1.NodeUnknown, v1alpha1.ReasonPending, "waiting for the first word of the observers")
		return grace - quiet
	case len(words.silent) > 0:
		unknown(v1alpha1.ReasonPending, func() string { return "no result yet from " + list(words.silent) })
	case len(words.aside) > 0:
		is(v1alpha1.NodeUnknown, v1alpha1.ReasonNoObserver, setAside(words.aside))
	default:
		is(v1alpha1.NodeUnknown, v1alpha1.ReasonNoObserver, noObserver)
	}
	return 0
}

// reservation returns the reason and the message that a node which answers carries all the
// same: that nobody else confirms it, or who was not heard.
func (t *testimony) reservation() (reason, message string) {
	var parts []string
	if len(t.aside) > 0 {
		parts = append(parts, setAside(t.aside))
	}
	if len(t.outside.isolated) > 0 {
		parts = append(parts, forsaken(t.outside.isolated))
	}
	switch message = strings.Join(parts, "; "); {
	case t.selfOnly && len(t.outside.reached) == 0:
		return v1alpha1.ReasonReachableFromSelfOnly, strings.Join(append([]string{reachableFromSelfOnly}, parts...), "; ")
	case message != "":
		return v1alpha1.ReasonSuspectObserver, message
	}
	return "", ""
}

// excuse returns why a node is not expected to answer, or nothing.
func excuse(app *subject, node *place, family corev1.IPFamily) (reason string) {
	switch {
	case node.Excluded, app.Expected != nil && !app.Expected.Matches(node.Labels):
		return v1alpha1.ReasonNodeExcluded
	case node.Deleting:
		return v1alpha1.ReasonNodeDeleting
	case !node.Ready:
		return v1alpha1.ReasonNodeNotReady
	case node.in(family) == nil:
		return v1alpha1.ReasonNoAddress
	case app.local() && !app.Endpoints.readyOn(node.Name, family):
		return v1alpha1.ReasonNoLocalEndpoint
	}
	return ""
}

// cause returns the reason of an unreachable node, and a message with the raw
// errors of the dials, what is likely behind them, and what to do next.
func (t *testimony) cause(node string) (reason, message string) {
	if t.podless {
		return v1alpha1.ReasonNoReadyEndpoints, noReadyEndpoints
	}
	if t.outside.vouches {
		return t.causeOutside(t.failed, node)
	}
	reason = t.failed[0].Reason
	if t.sure {
		reason = v1alpha1.ReasonPartiallyReachable
	}
	if t.unread.unreachable {
		return reason, ""
	}
	parts := []string{"not from " + t.blame()}
	if t.sure {
		parts[0] = fmt.Sprintf("reached from %s, but %s", list(t.confirmed), parts[0])
	}
	likely, next := t.likely(node), nextStep(reason, node)
	if likely != "" {
		parts = append(parts, "likely "+likely)
	}
	if likely == theApp {
		next = nextForApp
	}
	return reason, andThen(strings.Join(parts, "; "), next)
}
