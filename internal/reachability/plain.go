package reachability

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// plain gives the verdict on a node of which all observers say that the app answers, that
// it does not where no pod could, or, where nobody reads more of it, that they cannot
// tell for their dials are translated, and how long it holds if nothing is heard. It
// says what judge would, at a fraction of the cost: on a large cluster nearly every
// verdict is one of these.
func (m *Matrix) plain(
	app *subject, node *place, family corev1.IPFamily, unread unread, now time.Time,
) (verdict v1alpha1.NodeVerdict, holds time.Duration, ok bool) {
	at := node.in(family)
	if at == nil || len(m.alive) == 1 || len(m.outside[at.address]) > 0 || excuse(app, node, family) != "" {
		return verdict, 0, false
	}
	agreed := m.agreement(node.Name, at)
	// Who disagrees does not matter where no pod could answer, but to who reads it.
	fails := func() bool { return agreed.fails(app) || unread.unreachable && agreed.disputes(app) }
	verdict = v1alpha1.NodeVerdict{Node: node.Name, Family: family, Expected: true, Address: at.text}
	switch {
	case app.Endpoints.servedIn(family) && agreed.reaches(app):
		verdict.State, verdict.Observers = v1alpha1.NodeReachable, m.allOf(agreed.observers)
	case !app.Endpoints.ReadyIn(family) && fails() && now.Sub(app.lastChange(&node.Node)) >= settle:
		verdict.State = v1alpha1.NodeUnreachable
		verdict.Reason, verdict.Message = v1alpha1.ReasonNoReadyEndpoints, noReadyEndpoints
		if !unread.unreachable {
			verdict.Observers = fraction(0, agreed.observers)
		}
	case !app.Endpoints.servedIn(family) && agreed.reaches(app):
		// Until then a word on the node may be older than the last change of the endpoints.
		if holds = app.moved.Add(agreed.cycleFor(app, at.address, m.observers[at.address])).Sub(now); holds <= 0 {
			return verdict, 0, false
		}
		verdict.State = v1alpha1.NodeUnknown
		verdict.Reason, verdict.Message = v1alpha1.ReasonNoReadyEndpoints, noReadyEndpoints
		if !unread.unreachable {
			verdict.Observers = m.allOf(agreed.observers)
		}
	case unread.rest && agreed.translates(app):
		verdict.State, verdict.Reason = v1alpha1.NodeUnknown, v1alpha1.ReasonTranslatedAtSource
		if !app.Endpoints.ReadyIn(family) {
			verdict.Reason, verdict.Message = v1alpha1.ReasonNoReadyEndpoints, noReadyEndpoints
		}
	default:
		return verdict, 0, false
	}
	m.release(app, at.address)
	return verdict, holds, true
}

// allOf is how it is written that all observers reach a node.
func (m *Matrix) allOf(observers int) string {
	for n := len(m.all); n <= observers; n++ {
		m.all = append(m.all, fraction(n, n))
	}
	return m.all[observers]
}

func fraction(reached, heard int) string {
	return strconv.Itoa(reached) + "/" + strconv.Itoa(heard)
}
