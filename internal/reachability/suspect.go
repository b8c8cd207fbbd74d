package reachability

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// standing is whether an observer may be heard, as of an epoch.
type standing struct {
	epoch int
	// isolated: it reaches no other node on any node port, and fails on some.
	isolated bool
	// contradicted: another observer reaches what it does not, and looked again
	// since.
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
	var found standing
	for _, app := range m.apps {
		for address := range e.addresses {
			if e.own[address] || !app.dialledOn(address) {
				continue
			}
			switch said, _ := e.about(address, app); said {
			case reached:
				return standing{}
			case failed:
				found.isolated = true
				found.contradicted = found.contradicted || m.contradicts(observer, app, address)
			}
		}
	}
	return found
}

// contradicts tells whether another observer reaches an app at an address that
// is not its own, by a word newer than the disagreement.
func (m *Matrix) contradicts(observer string, app *subject, address netip.Addr) bool {
	open := app.doubts[address]
	for other := range open.rounds {
		entry := m.reports[other]
		if other == observer || entry == nil || entry.own[address] {
			continue
		}
		if said, _ := entry.about(address, app); said == reached && m.confirmed(app, open, other) {
			return true
		}
	}
	return false
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
