package reachability

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// plain gives the verdict on a node that is expected to answer and does, by the
// word of every observer. It says what judge would, at a fraction of the cost:
// on a large cluster nearly every verdict is one of these.
func (m *Matrix) plain(app *subject, node *Node, family corev1.IPFamily) (verdict v1alpha1.NodeVerdict, ok bool) {
	address, found := node.Addresses[family]
	if !found || len(m.alive) == 1 || len(app.Endpoints[family]) == 0 || excuse(app, node, family) != "" {
		return verdict, false
	}
	heard := 0
	for _, entry := range m.observers[address] {
		if !entry.alive || entry.stale || entry.name == node.Name {
			continue
		}
		if said, _ := entry.aboutDialled(address, app); said != reached {
			return verdict, false
		}
		heard++
	}
	if heard == 0 {
		return verdict, false
	}
	delete(app.doubts, address)
	delete(app.failing, address)
	count := strconv.Itoa(heard)
	return v1alpha1.NodeVerdict{
		Node: node.Name, Family: family, Expected: true, Address: address.String(),
		Observers: count + "/" + count, State: v1alpha1.NodeReachable,
	}, true
}
