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
	verdict = v1alpha1.NodeVerdict{
		Node: node.Name, Family: family, Expected: true, Address: at.text, State: v1alpha1.NodeReachable,
	}
	switch heard := said.reached + said.failed + len(said.silent); heard {
	case 0:
	case said.reached:
		verdict.Observers = m.allOf(heard)
	default:
		verdict.Observers = fraction(said.reached, heard)
	}
	if !answers {
		holds = m.explain(&verdict, app, node, said, podless, now)
	}
	m.release(app, address)
	return verdict, holds, true
}

// explain completes the verdict on a node that does not just answer.
func (m *Matrix) explain(
	verdict *v1alpha1.NodeVerdict, app *subject, node *Node, said chorus, podless bool, now time.Time,
) time.Duration {
	words := testimony{
		reached: make([]string, min(said.reached, 1)), failed: make([]statement, min(said.failed, 1)),
		silent: said.silent, podless: podless,
	}
	if holds := conclude(verdict, words, now.Sub(app.lastChange(node))); holds > 0 {
		words.wait(holds)
	}
	attribute(verdict, app.Endpoints, func() bool {
		words.cycle = m.cycle(app, node, m.sites[node.Addresses[verdict.Family]])
		return words.settled(app.moved.Add(words.cycle).Sub(now))()
	})
	return words.holds
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
