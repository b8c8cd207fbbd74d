package reachability

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// plain gives the verdict on a node of which all observers say that all answers that
// they ask. It says what judge would, for good, at a fraction of the cost: on a large
// cluster nearly every verdict is one of these.
func (m *Matrix) plain(app *subject, node *Node, family corev1.IPFamily) (verdict v1alpha1.NodeVerdict, ok bool) {
	address, found := node.Addresses[family]
	if !found || len(m.alive) == 1 || !app.Endpoints.servedIn(family) || excuse(app, node, family) != "" {
		return verdict, false
	}
	at := m.sites[address]
	agreed := m.agreement(node.Name, at)
	if !agreed.reaches(app) {
		return verdict, false
	}
	m.release(app, address)
	return v1alpha1.NodeVerdict{
		Node: node.Name, Family: family, Expected: true, Address: at.text, State: v1alpha1.NodeReachable,
		Observers: m.allOf(agreed.observers),
	}, true
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
