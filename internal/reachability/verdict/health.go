package verdict

import (
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/dispute"
)

// recheckTimeout is how long observers that are asked to look again may take: a
// timeout of the default length, and the ways there and back.
const recheckTimeout = 3 * time.Second

// health is whether an observer may be the problem itself.
type health struct {
	// isolated: it reaches no other node on any node port, while others claim to
	// reach enough of them.
	isolated bool
	// contradicted: they looked again since, and still do.
	contradicted bool
}

// assessor finds out the health of observers. What it found holds until a Dispute changes.
type assessor struct {
	*reachability.Snapshot

	// bounds count what is remembered, changes of the evaluation included.
	bounds dispute.Bounds
	// health is what was found out, and disputes on how many of the addresses that an
	// observer dials there is a Dispute. Both are nil until somebody asks.
	health   map[*reachability.Observer]health
	disputes map[*reachability.Observer]int
	// covered are the node ports of apps that reports cover.
	covered map[coverage]nodeport.Set
}

// count counts a change in of what is remembered of the app. Only Disputes matter to health.
func (a *assessor) count(change dispute.Change) {
	a.bounds = a.bounds.With(a.App.NodePort(), change)
	if change.Disputed() {
		a.health, a.disputes = nil, nil
	}
}

// graceFor is how long the failure of an isolated observer is not held against a
// node, while those that contradict it are asked again.
func graceFor(observer *reachability.Observer) time.Duration {
	if observer.Heartbeat <= protocol.PromptHeartbeat {
		return recheckTimeout
	}
	return observer.Heartbeat
}

// disputesOf returns on how many of the addresses that an observer dials there is a Dispute.
func (a *assessor) disputesOf(observer *reachability.Observer) int {
	if a.disputes == nil {
		a.disputes = make(map[*reachability.Observer]int)
		for address := range a.bounds.Addresses() {
			site := a.SiteOf(address)
			if site == nil {
				continue
			}
			for i := range site.Inside {
				a.disputes[site.Inside[i].Observer]++
			}
		}
	}
	return a.disputes[observer]
}

// healthOf returns the health of an observer in the cluster.
func (a *assessor) healthOf(observer *reachability.Observer) health {
	known, found := a.health[observer]
	if !found {
		known = a.assess(observer)
		if a.health == nil {
			a.health = make(map[*reachability.Observer]health)
		}
		a.health[observer] = known
	}
	return known
}

func (a *assessor) assess(observer *reachability.Observer) health {
	var contested []*reachability.Site
	for _, address := range observer.Addresses {
		site := a.SiteOf(address)
		switch {
		case observer.Owns(address):
		case a.reaches(observer, address):
			return health{}
		case site != nil && slices.ContainsFunc(site.Inside, func(s reachability.Sight) bool { return !s.Closed(address) }):
			contested = append(contested, site)
		}
	}
	if len(contested) < reachability.Enough {
		return health{}
	}
	claimed, confirmed := make(map[string]bool), make(map[string]bool)
	for _, site := range contested {
		claims, confirms := a.objections(observer, site)
		if claims {
			claimed[site.Owner] = true
		}
		if confirms {
			confirmed[site.Owner] = true
		}
	}
	return health{isolated: len(claimed) >= reachability.Enough, contradicted: len(confirmed) >= reachability.Enough}
}

// objections reports whether another observer than the owner of an address reaches an app
// there that this one does not, and whether that is newer than the disagreement.
func (a *assessor) objections(observer *reachability.Observer, site *reachability.Site) (claims, confirms bool) {
	own, nodePorts, disputed := observer.Sight(site.Address), a.nodePorts(observer, site.Address), a.bounds.At(site.Address)
	for i := range site.Inside {
		other := &site.Inside[i]
		if other.Name == observer.Name || other.Name == site.Owner || other.Stale || other.Closed(site.Address) {
			continue
		}
		covered := a.nodePorts(other.Observer, site.Address)
		objects := func(nodePort uint16) bool {
			return nodePorts.Contains(nodePort) && own.Reports(protocol.Failed, nodePort) && covered.Contains(nodePort) && other.Reports(protocol.Reached, nodePort)
		}
		if anyOf(disputed.Confirmed(other.Name), objects) {
			return true, true
		}
		claims = claims || anyOf(nodePorts, objects)
	}
	return claims, false
}

// reaches reports whether an observer reaches any app at an address.
func (a *assessor) reaches(observer *reachability.Observer, address netip.Addr) bool {
	if observer.Stale || observer.Closed(address) {
		return false
	}
	sight := observer.Sight(address)
	return anyOf(a.nodePorts(observer, address), func(nodePort uint16) bool { return sight.Reports(protocol.Reached, nodePort) })
}

// anyOf reports whether something holds for one of some node ports, most often for the first.
func anyOf(nodePorts nodeport.Set, holds func(nodePort uint16) bool) bool {
	for nodePort := range nodePorts.All() {
		if holds(nodePort) {
			return true
		}
	}
	return false
}

// coverage is how many of all apps reports cover, and in which IP family.
type coverage struct {
	apps int
	ipv4 bool
}

// nodePorts returns the node ports of apps in the IP family of an address which an
// observer's report covers.
func (a *assessor) nodePorts(observer *reachability.Observer, address netip.Addr) nodeport.Set {
	key := coverage{a.Covered(observer), address.Is4()}
	ports, found := a.covered[key]
	if !found {
		ports = a.NodePorts(key.apps, address)
		a.covered[key] = ports
	}
	return ports
}

// reachesAny reports whether an observer reaches any app on any node.
func (a *assessor) reachesAny(observer *reachability.Observer) bool {
	return slices.ContainsFunc(observer.Addresses, func(address netip.Addr) bool { return a.reaches(observer, address) })
}

// elsewhere returns whether an observer reaches an address on other node ports than the
// app's: Silent where there are none.
func (a *assessor) elsewhere(observer string, site *reachability.Site) protocol.Outcome {
	sight := site.Of(observer)
	if sight == nil {
		return protocol.Silent
	}
	ports := a.nodePorts(sight.Observer, site.Address).Minus(nodeport.Of(a.App.NodePort()))
	for _, outcome := range []protocol.Outcome{protocol.Reached, protocol.Failed} {
		if !sight.Stale && anyOf(ports, func(nodePort uint16) bool { return sight.Reports(outcome, nodePort) }) {
			return outcome
		}
	}
	return protocol.Silent
}
