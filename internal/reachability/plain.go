package reachability

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// plain gives the verdict on a node of which all observers say the same: that it
// answers, or nothing yet. It says what judge would, and as long, at a fraction of
// the cost: on a large cluster nearly every verdict is one of these.
func (m *Matrix) plain(
	app *subject, node *Node, family corev1.IPFamily, now time.Time,
) (verdict v1alpha1.NodeVerdict, holds time.Duration, ok bool) {
	address, found := node.Addresses[family]
	if !found || len(m.alive) == 1 || excuse(app, node, family) != "" {
		return verdict, 0, false
	}
	reach, mute, ok := m.unanimous(app, node, address)
	if !ok {
		return verdict, 0, false
	}
	verdict = v1alpha1.NodeVerdict{
		Node: node.Name, Family: family, Expected: true, Address: m.texts[address], State: v1alpha1.NodeReachable,
	}
	if reach > 0 {
		if len(app.Endpoints[family]) == 0 {
			return verdict, 0, false
		}
		verdict.Observers = m.allOf(reach)
	} else {
		if len(mute) > 0 {
			verdict.Observers = fraction(0, len(mute))
		}
		holds = conclude(&verdict, testimony{silent: mute}, now.Sub(app.lastChange(node)))
		attribute(&verdict, app.Endpoints, nil)
	}
	delete(app.doubts, address)
	delete(app.failing, address)
	return verdict, holds, true
}

// unanimous returns how many observers reach a node, or which have no word on it,
// where all others that can be heard say the same.
func (m *Matrix) unanimous(app *subject, node *Node, address netip.Addr) (reach int, mute []string, ok bool) {
	observers := m.observers[address]
	for _, entry := range observers {
		if !entry.alive || entry.stale || entry.name == node.Name {
			continue
		}
		switch said, _ := entry.aboutDialled(address, app); said {
		case reached:
			reach++
		case silent:
			mute = append(slices.Grow(mute, len(observers)-len(mute)), entry.name)
		default:
			return 0, nil, false
		}
	}
	return reach, mute, reach == 0 || len(mute) == 0
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
