package reachability

import (
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// chorus is what the observers of a node say that can be heard.
type chorus struct {
	reached, failed int
	silent          []string
}

// plain gives the verdict on a node of which all observers say the same: that it
// answers, nothing yet, or that it does not where no pod could. It says what judge
// would, and as long, at a fraction of the cost: on a large cluster nearly every
// verdict is one of these.
func (m *Matrix) plain(
	app *subject, node *Node, family corev1.IPFamily, now time.Time,
) (verdict v1alpha1.NodeVerdict, holds time.Duration, ok bool) {
	address, found := node.Addresses[family]
	if !found || len(m.alive) == 1 || excuse(app, node, family) != "" {
		return verdict, 0, false
	}
	at := m.sites[address]
	said, ok := m.unanimous(app, node, at)
	if !ok || said.failed > 0 && app.Endpoints.ReadyIn(family) || said.reached > 0 && len(app.Endpoints[family]) == 0 {
		return verdict, 0, false
	}
	verdict = v1alpha1.NodeVerdict{
		Node: node.Name, Family: family, Expected: true, Address: at.text, State: v1alpha1.NodeReachable,
	}
	if said.reached > 0 {
		verdict.Observers = m.allOf(said.reached)
	} else {
		if heard := said.failed + len(said.silent); heard > 0 {
			verdict.Observers = fraction(0, heard)
		}
		words := testimony{silent: said.silent, podless: said.failed > 0, failed: make([]statement, min(said.failed, 1))}
		holds = conclude(&verdict, words, now.Sub(app.lastChange(node)))
		attribute(&verdict, app.Endpoints, nil)
	}
	delete(app.doubts, address)
	delete(app.failing, address)
	return verdict, holds, true
}

// unanimous returns what the observers of a node say, where all say the same.
func (m *Matrix) unanimous(app *subject, node *Node, at *site) (said chorus, ok bool) {
	if agreed := m.agreement(node.Name, at); agreed.reaches(app) {
		return chorus{reached: agreed.observers}, true
	}
	observers := m.observers[at.address]
	for _, entry := range observers {
		if !entry.heardOn(node.Name) {
			continue
		}
		switch word, _ := entry.aboutDialled(at.address, app); word {
		case reached:
			said.reached++
		case failed:
			said.failed++
		case silent:
			said.silent = append(slices.Grow(said.silent, len(observers)-len(said.silent)), entry.name)
		}
	}
	heard := said.reached + said.failed + len(said.silent)
	return said, heard == max(said.reached, said.failed, len(said.silent))
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
