package reachability

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// enough is how many other nodes must answer others, and not an observer, for it
// to be the problem. With one, it may as well be what is between the two.
const enough = 2

// standing is whether an observer may be heard, as of an epoch.
type standing struct {
	epoch int
	// isolated: it reaches no other node on any node port, while others claim to
	// reach enough of them.
	isolated bool
	// contradicted: they looked again since, and still do.
	contradicted bool
}

// standingOf tells whether an observer may be heard. One that reaches no other
// node, where others do, is itself the problem.
func (m *Matrix) standingOf(observer string) standing {
	entry := m.reports[observer]
	if entry.standing.epoch != m.epoch {
		entry.standing = m.examine(observer, entry)
		entry.standing.epoch = m.epoch
	}
	return entry.standing
}

func (m *Matrix) examine(observer string, e *entry) standing {
	var contested []netip.Addr
	for _, address := range e.addresses {
		switch {
		case slices.Contains(e.own, address):
		case !e.shut[address] && m.reaches(e, address):
			return standing{}
		case slices.ContainsFunc(m.observers[address], func(other *entry) bool { return !other.shut[address] }):
			contested = append(contested, address)
		}
	}
	if len(contested) < enough {
		return standing{}
	}
	claimed, confirmed := make(map[string]bool), make(map[string]bool)
	for _, app := range m.apps {
		for _, address := range contested {
			if app.dialledOn(address) && e.about(address, app) == failed {
				m.objections(observer, app, address, claimed, confirmed)
			}
		}
	}
	return standing{isolated: len(claimed) >= enough, contradicted: len(confirmed) >= enough}
}

// reaches tells whether an observer reaches any app at an address.
func (m *Matrix) reaches(e *entry, address netip.Addr) bool {
	for _, app := range m.apps {
		if app.dialledOn(address) && e.about(address, app) == reached {
			return true
		}
	}
	return false
}

// objections adds the node of an address to claimed, where another observer
// reaches the app there, and to confirmed, where that is newer than the
// disagreement.
func (m *Matrix) objections(
	observer string, app *subject, address netip.Addr, claimed, confirmed map[string]bool,
) {
	owner := address.String()
	for _, other := range m.observers[address] {
		if slices.Contains(other.own, address) {
			owner = other.name
		}
	}
	for _, other := range m.observers[address] {
		if other.about(address, app) != reached || other.name == observer || other.name == owner {
			continue
		}
		claimed[owner] = true
		if app.doubts[address].confirmed(other.name) {
			confirmed[owner] = true
		}
	}
}

// hearing is how long the word of an isolated observer is not held against a
// node, while those that contradict it are asked again.
func (e *entry) hearing() time.Duration {
	if e.heartbeat <= promptHeartbeat {
		return patience
	}
	return e.heartbeat
}

// dialledOn tells whether the Service has the IP family of an address.
func (a *App) dialledOn(address netip.Addr) bool {
	if address.Is4() {
		return slices.Contains(a.Families, corev1.IPv4Protocol)
	}
	return slices.Contains(a.Families, corev1.IPv6Protocol)
}
