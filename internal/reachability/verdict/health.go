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

const (
	// enough is how many other nodes must answer others, and not an observer, for it
	// to be the problem. With one, it may as well be what is between the two.
	enough = 2

	// recheckTimeout is how long observers that are asked to look again may take: a
	// timeout of the default length, and the ways there and back.
	recheckTimeout = 3 * time.Second
)

// health is whether an observer may be the problem itself.
type health struct {
	// isolated: it reaches no other node on any node port, while others claim to
	// reach enough of them.
	isolated bool
	// contradicted: they looked again since, and still do.
	contradicted bool
}

// setAside takes the failures of those observers out that are themselves the problem, or that
// may be until others have looked again: as long as they are the exception, in the cluster
// and among those that observe the node, its own included. Who is merely the last to
// notice that a node answers again is not set aside: an old failure must have been seen anew.
func (e *evaluation) setAside(o *observations, open *dispute.Dispute) {
	var aside []string
	suspects, holds := 0, time.Duration(0)
	for i := range o.failed {
		failure := &o.failed[i]
		if open == nil && e.disputesOf(failure.by) < enough {
			// Nobody contradicts it. To find out more takes a look at all observers.
			continue
		}
		health := e.healthOf(failure.by)
		left := time.Duration(0)
		if open != nil {
			left = open.Began.Add(graceFor(failure.by)).Sub(e.now)
		}
		switch {
		case health.isolated && health.contradicted && (open == nil || failure.persists):
			aside = append(aside, failure.Observer)
		case health.isolated && left > 0 && (holds == 0 || left < holds):
			holds = left
		case !health.isolated || left <= 0:
			continue
		}
		failure.suspect = true
		suspects++
	}
	votes := len(o.reached)
	if o.selfAssents {
		votes++
	}
	if suspects == 0 || !e.Exceptional || len(o.reached) > 0 && suspects >= votes {
		return
	}
	o.aside = aside
	o.failed = slices.DeleteFunc(o.failed, func(failure failure) bool { return failure.suspect })
	o.failedBy = len(o.failed)
	if holds > 0 {
		o.wait(holds)
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
func (e *evaluation) disputesOf(observer *reachability.Observer) int {
	if e.disputes == nil {
		e.disputes = make(map[*reachability.Observer]int)
		for address := range e.bounds.Addresses() {
			site := e.SiteOf(address)
			if site == nil {
				continue
			}
			for i := range site.Inside {
				e.disputes[site.Inside[i].Observer]++
			}
		}
	}
	return e.disputes[observer]
}

// healthOf returns the health of an observer in the cluster.
func (e *evaluation) healthOf(observer *reachability.Observer) health {
	known, found := e.health[observer]
	if !found {
		known = e.assess(observer)
		if e.health == nil {
			e.health = make(map[*reachability.Observer]health)
		}
		e.health[observer] = known
	}
	return known
}

func (e *evaluation) assess(observer *reachability.Observer) health {
	var contested []*reachability.Site
	for _, address := range observer.Addresses {
		site := e.SiteOf(address)
		switch {
		case observer.Owns(address):
		case e.reaches(observer, address):
			return health{}
		case site != nil && slices.ContainsFunc(site.Inside, func(s reachability.Sight) bool { return !s.Closed(address) }):
			contested = append(contested, site)
		}
	}
	if len(contested) < enough {
		return health{}
	}
	claimed, confirmed := make(map[string]bool), make(map[string]bool)
	for _, site := range contested {
		claims, confirms := e.objections(observer, site)
		if claims {
			claimed[site.Owner] = true
		}
		if confirms {
			confirmed[site.Owner] = true
		}
	}
	return health{isolated: len(claimed) >= enough, contradicted: len(confirmed) >= enough}
}

// objections reports whether another observer than the owner of an address reaches an app
// there that this one does not, and whether that is newer than the disagreement.
func (e *evaluation) objections(observer *reachability.Observer, site *reachability.Site) (claims, confirms bool) {
	own, nodePorts, disputed := observer.At(site.Address), e.nodePorts(observer, site.Address), e.bounds.At(site.Address)
	for i := range site.Inside {
		other := &site.Inside[i]
		if other.Name == observer.Name || other.Name == site.Owner || other.Stale || other.Closed(site.Address) {
			continue
		}
		covered := e.nodePorts(other.Observer, site.Address)
		objects := func(nodePort uint16) bool {
			return nodePorts.Contains(nodePort) && own.Fails(nodePort) && covered.Contains(nodePort) && other.Reaches(nodePort)
		}
		if anyOf(disputed.Confirmed(other.Name), objects) {
			return true, true
		}
		claims = claims || anyOf(nodePorts, objects)
	}
	return claims, false
}

// reaches reports whether an observer reaches any app at an address.
func (e *evaluation) reaches(observer *reachability.Observer, address netip.Addr) bool {
	if observer.Stale || observer.Closed(address) {
		return false
	}
	sight := observer.At(address)
	return anyOf(e.nodePorts(observer, address), sight.Reaches)
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
func (e *evaluation) nodePorts(observer *reachability.Observer, address netip.Addr) nodeport.Set {
	key := coverage{e.Covered(observer), address.Is4()}
	ports, found := e.covered[key]
	if !found {
		ports = e.NodePorts(key.apps, address)
		e.covered[key] = ports
	}
	return ports
}
