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

// standing is whether an observer may be heard.
type standing struct {
	// examined is whether that was found out since anything that it depends on changed:
	// the reports on the addresses that the observer dials, the doubts on these, an app.
	examined bool
	// isolated: it reaches no other node on any node port, while others claim to
	// reach enough of them.
	isolated bool
	// contradicted: they looked again since, and still do.
	contradicted bool
}

// standingOf tells whether an observer may be heard. One that reaches no other
// node, where others do, is itself the problem.
func (m *Matrix) standingOf(e *entry) standing {
	if !e.standing.examined {
		e.standing = m.examine(e)
		e.standing.examined = true
	}
	return e.standing
}

// reexamine has it found out anew which observers of an address may be heard.
func (m *Matrix) reexamine(address netip.Addr) {
	for _, entry := range m.observers[address] {
		entry.standing = standing{}
	}
}

// reexamineAll does so with all observers.
func (m *Matrix) reexamineAll() {
	for _, entry := range m.reports {
		entry.standing = standing{}
	}
}

// reconsider has it found out anew which isolated observers of an address are
// contradicted.
func (m *Matrix) reconsider(address netip.Addr) {
	for _, entry := range m.observers[address] {
		if entry.standing.isolated {
			entry.standing = standing{}
		}
	}
}

func (m *Matrix) examine(e *entry) standing {
	var contested []netip.Addr
	for _, address := range e.addresses {
		switch {
		case slices.Contains(e.own, address):
		case !e.isShut(address) && m.reaches(e, address):
			return standing{}
		case slices.ContainsFunc(m.observers[address], func(other *entry) bool { return !other.isShut(address) }):
			contested = append(contested, address)
		}
	}
	if len(contested) < enough {
		return standing{}
	}
	claimed, confirmed := make(map[string]bool), make(map[string]bool)
	for _, address := range contested {
		owner := m.ownerOf(address)
		claims, confirms := m.objections(e, address, owner)
		if claims {
			claimed[owner] = true
		}
		if confirms {
			confirmed[owner] = true
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

// ownerOf returns the node that has an address, or the address where its agent says
// nothing.
func (m *Matrix) ownerOf(address netip.Addr) string {
	for _, entry := range m.observers[address] {
		if slices.Contains(entry.own, address) {
			return entry.name
		}
	}
	return address.String()
}

// objections tells whether another observer than the owner of an address reaches an app
// there that this one does not, and whether that is newer than the disagreement.
func (m *Matrix) objections(e *entry, address netip.Addr, owner string) (claims, confirms bool) {
	for _, app := range m.apps {
		open := app.doubts[address]
		if claims && open == nil || !app.dialledOn(address) || e.about(address, app) != failed {
			continue
		}
		for _, other := range m.observers[address] {
			if other.name == e.name || other.name == owner ||
				claims && !open.confirmed(other.name) || other.about(address, app) != reached {
				continue
			}
			claims = true
			if open.confirmed(other.name) {
				return true, true
			}
		}
		if claims && m.doubted[address] == 0 {
			return true, false
		}
	}
	return claims, false
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
