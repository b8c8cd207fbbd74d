package reachability

import (
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// agreement is what all observers of an address say alike of its node ports. Thousands
// of apps are judged on thousands of nodes, and nearly all of them by nothing else.
type agreement struct {
	// node is the one whose own word does not count.
	node string
	// observers is how many there are.
	observers int
	// reached, failed and translated are the node ports of which all say so, and disputed
	// those of which some say that they failed.
	reached, failed, translated, disputed nodeport.Set
	// version is the oldest that any of them covers.
	version string
	// cycle is the longest of theirs for an app that is probed every period, 0 before it
	// was asked for.
	period, cycle time.Duration
}

// agreedRanges is how many ranges of node ports there may be in an agreement. There is
// one for each of thousands of addresses, and where the ports are so scattered it would
// take more memory than it saves time.
const agreedRanges = 128

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
		if !entry.heardOn(node, address) {
			continue
		}
		reached, failed, translated := entry.outcome(address)
		if agreed.observers == 0 {
			agreed.reached, agreed.failed, agreed.translated = reached, failed, translated
			agreed.version = entry.ServicesVersion
		}
		order, err := resourceversion.CompareResourceVersion(entry.ServicesVersion, agreed.version)
		if err != nil {
			return &agreement{node: node}
		}
		if order < 0 {
			agreed.version = entry.ServicesVersion
		}
		agreed.reached, agreed.failed = agreed.reached.Intersect(reached), agreed.failed.Intersect(failed)
		agreed.translated = agreed.translated.Intersect(translated)
		agreed.disputed = agreed.disputed.Union(failed)
		agreed.observers++
	}
	agreed.reached, agreed.failed = handy(agreed.reached), handy(agreed.failed)
	agreed.translated, agreed.disputed = handy(agreed.translated), handy(agreed.disputed.Minus(agreed.failed))
	return agreed
}

// outcome returns the node ports that a report says are reached at an address, those
// that it says are not, and those of which the dials are translated. Of the rest it says
// nothing.
func (r *report) outcome(address netip.Addr) (reached, failed, translated nodeport.Set) {
	failed = exceptedAt(r.Failures, address).Intersect(r.NodePorts)
	rest := r.NodePorts.Minus(failed).Minus(exceptedAt(r.untold(), address))
	translated = exceptedAt(r.diverted(), address).Intersect(rest)
	return rest.Minus(translated), failed, translated
}

// untold returns the pairs without a word for another reason than translation, and
// diverted those of which the dials are translated.
func (r *report) untold() []protocol.Exception   { return r.Pending[:r.translatedFrom()] }
func (r *report) diverted() []protocol.Exception { return r.Pending[r.translatedFrom():] }

func (r *report) translatedFrom() int {
	if i := slices.IndexFunc(r.Pending, func(e protocol.Exception) bool { return e.Outcome == protocol.Translated }); i >= 0 {
		return i
	}
	return len(r.Pending)
}

// exceptedAt returns the node ports of exceptions at an address.
func exceptedAt(exceptions []protocol.Exception, address netip.Addr) (nodePorts nodeport.Set) {
	for i := range exceptions {
		if _, found := slices.BinarySearchFunc(exceptions[i].Addresses, address, netip.Addr.Compare); found {
			nodePorts = nodePorts.Union(exceptions[i].NodePorts)
		}
	}
	return nodePorts
}

// handy returns no node ports in place of too many ranges of them.
func handy(nodePorts nodeport.Set) nodeport.Set {
	if nodePorts.Ranges() > agreedRanges {
		return nodeport.Set{}
	}
	return nodePorts
}

// heardOn tells whether an observer's word on a node counts, in a cluster of more
// than one.
func (e *entry) heardOn(node string, address netip.Addr) bool {
	return e.alive && !e.stale && e.name != node && !e.owns(address)
}

// owns tells whether an address is also that of the observer's own Node.
func (e *entry) owns(address netip.Addr) bool { return slices.Contains(e.own, address) }

// reaches tells whether all observers reach an app, fails whether none does, disputes
// whether some do not, and translates whether the dials of all are translated.
func (a *agreement) reaches(app *subject) bool    { return a.say(a.reached, app) }
func (a *agreement) fails(app *subject) bool      { return a.say(a.failed, app) }
func (a *agreement) disputes(app *subject) bool   { return a.say(a.disputed, app) }
func (a *agreement) translates(app *subject) bool { return a.say(a.translated, app) }

func (a *agreement) say(nodePorts nodeport.Set, app *subject) bool {
	return nodePorts.Contains(uint16(app.Service.NodePort)) && covers(a.version, app.since)
}

// cycleFor returns the time in which every observer of the address, of these, has probed
// an app and told of it. Nearly all apps have the same period.
func (a *agreement) cycleFor(app *subject, address netip.Addr, observers []*entry) time.Duration {
	if a.cycle > 0 && a.period == app.Period {
		return a.cycle
	}
	a.period, a.cycle = app.Period, 0
	for _, entry := range observers {
		if entry.heardOn(a.node, address) {
			a.cycle = max(a.cycle, entry.cycle(app))
		}
	}
	return a.cycle
}

// reopen has asked anew what the observers of the addresses of a report say, whether
// they may be heard, and how many are cut off.
func (m *Matrix) reopen(addresses []netip.Addr) {
	m.census = nil
	for _, address := range addresses {
		m.reexamine(address)
		if site := m.sites[address]; site != nil {
			site.agreed = nil
		}
	}
}
