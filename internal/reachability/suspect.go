package reachability

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/internal/protocol"
)

// enough is how many other nodes must answer others, and not an observer, for it
// to be the problem. With one, it may as well be what is between the two.
const enough = 2

// census counts the observers in the cluster that are fresh and have a word on other
// nodes: those that reach any of them, and those that are cut off.
type census struct{ reaching, cutOff int }

// standing is whether an observer may be heard.
type standing struct {
	// examined is whether that was found out since anything that it depends on changed:
	// the reports on the addresses that the observer dials, the doubts on these, an app.
	examined bool
	// isolated: it reaches no other node on any node port, while others claim to
	// reach enough of them. Of an observer out of the cluster the first half will do.
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

// reach reports whether an observer reaches any other node, and whether it is cut off from
// them, by its report alone.
func (e *entry) reach() (reaching, cutOff bool) {
	failing := 0
	for _, address := range e.Addresses {
		switch {
		case e.owns(address):
		case !e.isShut(address):
			return true, false
		case !exceptedAt(e.Failures, address).IsEmpty():
			failing++
		}
	}
	return false, failing >= enough
}

// exceptional reports whether observers that are cut off are the exception. Where they
// are not fewer than those that reach anything, it is not they who are the problem.
func (m *Matrix) exceptional() bool {
	if m.census == nil {
		m.census = &census{}
		for _, entry := range m.reports {
			switch {
			case entry.outside || !entry.alive || entry.stale:
			case entry.cutOff:
				m.census.cutOff++
			case entry.reaching:
				m.census.reaching++
			}
		}
	}
	return m.census.cutOff < m.census.reaching
}

// sift takes the failures of those observers out that are themselves the problem, or that
// may be until others have looked again: as long as they are the exception, in the cluster
// and among those that observe the node, its own agent included. Who is merely the last to
// notice that a node answers again is not set aside: an old failure must have been seen anew.
func (m *Matrix) sift(words *testimony, open *doubt, now time.Time) {
	var aside []string
	suspects, holds := 0, time.Duration(0)
	for i := range words.failed {
		failure := &words.failed[i]
		if open == nil && failure.by.disputed < enough {
			// Nobody contradicts it. To find out more takes a look at all apps.
			continue
		}
		standing := m.standingOf(failure.by)
		left := time.Duration(0)
		if open != nil {
			left = open.began.Add(failure.by.hearing()).Sub(now)
		}
		switch {
		case standing.isolated && standing.contradicted && (open == nil || failure.stands):
			aside = append(aside, failure.by.name)
		case standing.isolated && left > 0 && (holds == 0 || left < holds):
			holds = left
		case !standing.isolated || left <= 0:
			continue
		}
		failure.suspect = true
		suspects++
	}
	votes := len(words.reached)
	if words.assents {
		votes++
	}
	if suspects == 0 || !m.exceptional() || len(words.reached) > 0 && suspects >= votes {
		return
	}
	words.aside = aside
	words.failed = slices.DeleteFunc(words.failed, func(failure statement) bool { return failure.suspect })
	if holds > 0 {
		words.wait(holds)
	}
}

// reexamine has it found out anew which observers of an address may be heard.
func (m *Matrix) reexamine(address netip.Addr) {
	for _, entry := range m.observers[address] {
		entry.standing = standing{}
	}
	for _, entry := range m.outside[address] {
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
	if e.outside {
		reaches := func(address netip.Addr) bool { return !e.isShut(address) && m.reaches(e, address) }
		return standing{isolated: !slices.ContainsFunc(e.Addresses, reaches)}
	}
	var contested []netip.Addr
	for _, address := range e.Addresses {
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
		if app.dialledOn(address) && e.about(address, app) == protocol.Reached {
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
		if claims && open == nil || !app.dialledOn(address) || e.about(address, app) != protocol.Failed {
			continue
		}
		for _, other := range m.observers[address] {
			if other.name == e.name || other.name == owner ||
				claims && !open.confirmed(other.name) || other.about(address, app) != protocol.Reached {
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
	if e.heartbeat <= protocol.PromptHeartbeat {
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
