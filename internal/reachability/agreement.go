package reachability

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/exposedapp/exposedapp/internal/nodeport"
)

// site is an address of a node.
type site struct {
	address netip.Addr
	// text is the address in writing.
	text string
	// agreed is what all observers say of it. It is nil until that is asked for, and
	// again when a report on it came or went.
	agreed *agreement
}

// agreement is that all observers of an address reach the same node ports there.
// Thousands of apps are judged on thousands of nodes, and nearly all of them by
// nothing else.
type agreement struct {
	// node is the one whose own word does not count.
	node string
	// observers is how many there are, 0 where they do not agree.
	observers int
	nodePorts nodeport.Set
	// version is the oldest that any of them covers.
	version string
}

// agreement returns what all observers of a node's address say.
func (m *Matrix) agreement(node string, at *site) *agreement {
	if at.agreed == nil || at.agreed.node != node {
		at.agreed = m.agree(node, at.address)
	}
	return at.agreed
}

func (m *Matrix) agree(node string, address netip.Addr) *agreement {
	agreed := &agreement{node: node}
	for _, entry := range m.observers[address] {
		if !entry.heardOn(node) {
			continue
		}
		if agreed.observers == 0 {
			agreed.nodePorts, agreed.version = entry.nodePorts, entry.version
		}
		order, err := resourceversion.CompareResourceVersion(entry.version, agreed.version)
		if err != nil || entry.excepts(address) || !entry.nodePorts.Equal(agreed.nodePorts) {
			return &agreement{node: node}
		}
		if order < 0 {
			agreed.version = entry.version
		}
		agreed.observers++
	}
	return agreed
}

// heardOn tells whether an observer's word on a node counts, in a cluster of more
// than one.
func (e *entry) heardOn(node string) bool {
	return e.alive && !e.stale && e.name != node
}

// reaches tells whether all observers reach an app.
func (a *agreement) reaches(app *subject) bool {
	return a.observers > 0 && a.nodePorts.Contains(uint16(app.Service.NodePort)) && covers(a.version, app.since)
}

// excepts tells whether any node port was not reached at an address.
func (r *report) excepts(address netip.Addr) bool {
	at := func(e exception) bool { return slices.Contains(e.addresses, address) }
	return slices.ContainsFunc(r.failures, at) || slices.ContainsFunc(r.pending, at)
}

// reopen has asked anew what the observers of the addresses of a report say, and
// whether they may be heard.
func (m *Matrix) reopen(addresses []netip.Addr) {
	for _, address := range addresses {
		m.reexamine(address)
		if site := m.sites[address]; site != nil {
			site.agreed = nil
		}
	}
}
