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
// answers, or nothing yet. Where no pod could answer it does not matter what they say,
// nor who. It says what judge would, and as long, at a fraction of the cost: on a large
// cluster nearly every verdict is one of these.
func (m *Matrix) plain(
	app *subject, node *Node, family corev1.IPFamily, now time.Time,
) (verdict v1alpha1.NodeVerdict, holds time.Duration, ok bool) {
	address, found := node.Addresses[family]
	if !found || len(m.alive) == 1 || excuse(app, node, family) != "" {
		return verdict, 0, false
	}
	at := m.sites[address]
	said, unanimous := m.chorus(app, node, at)
	answers := unanimous && said.reached > 0 && len(app.Endpoints[family]) > 0
	podless := !answers && !app.Endpoints.ReadyIn(family)
	if !podless && (!unanimous || said.failed > 0) {
		return verdict, 0, false
	}
	m.release(app, address)
	if !answers {
		// Who said it makes no difference to what judge says.
		verdict, holds = judge(app, node, family, testimony{
			reached: make([]string, said.reached), failed: make([]statement, said.failed), silent: said.silent,
			podless: podless, cycle: m.cycle(app, node, at),
		}, now)
		return verdict, holds, true
	}
	return v1alpha1.NodeVerdict{
		Node: node.Name, Family: family, Expected: true, Address: at.text, State: v1alpha1.NodeReachable,
		Observers: m.allOf(said.reached),
	}, 0, true
}

// cycle is the time by which every word on a node is newer than a change.
func (m *Matrix) cycle(app *subject, node *Node, at *site) (longest time.Duration) {
	for _, entry := range m.observers[at.address] {
		if entry.heardOn(node.Name) {
			longest = max(longest, app.cycle(entry))
		}
	}
	return longest
}

// chorus returns what the observers of a node say, and whether all say the same.
func (m *Matrix) chorus(app *subject, node *Node, at *site) (said chorus, unanimous bool) {
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
