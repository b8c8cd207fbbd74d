package reachability

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability/results"
)

// Site is what is reported of one address. It is immutable.
type Site struct {
	Address netip.Addr
	// Text is the address in writing, and Owner the node that says that it is its own,
	// or the address where none does.
	Text, Owner string
	// Inside are the observers in the cluster that dial the address, and Outside those
	// outside of it, each by ascending name.
	Inside, Outside []Sight

	// consensus is nil until somebody asks for it. It follows from the rest alone.
	consensus atomic.Pointer[Consensus]
}

// Sight is what one observer reports of one address.
type Sight struct {
	*Observer

	at results.Site
}

// Outcome returns what the observer reports of an app, and the exception where it does
// not reach it.
func (s *Sight) Outcome(app *AppState) (protocol.Outcome, *protocol.Exception) {
	if s.Stale || !s.Version.Covers(app.since) {
		return protocol.Silent, nil
	}
	return s.at.Outcome(app.NodePort())
}

// Reports reports whether something is what the observer reports of a node port, whether or
// not that is of an app that the report covers.
func (s *Sight) Reports(outcome protocol.Outcome, nodePort uint16) bool {
	reported, _ := s.at.Outcome(nodePort)
	return reported == outcome
}

// Of returns what an observer in the cluster reports, nil where it does not dial the
// address.
func (s *Site) Of(observer string) *Sight {
	if i, found := slices.BinarySearchFunc(s.Inside, observer, Sight.compare); found {
		return &s.Inside[i]
	}
	return nil
}

func (s Sight) compare(observer string) int { return strings.Compare(s.Name, observer) }

// with returns the site once the observer of a name reports something else, or nothing.
func (s *Site) with(name string, after *Observer) *Site {
	next := &Site{Address: s.Address, Text: s.Text, Owner: s.Text}
	var inside, outside *Sight
	if after != nil && after.Dials(s.Address) {
		if sight := after.Sight(s.Address); after.Outside {
			outside = &sight
		} else {
			inside = &sight
		}
	}
	next.Inside, next.Outside = splice(s.Inside, name, inside), splice(s.Outside, name, outside)
	for i := range next.Inside {
		if next.Inside[i].Owns(s.Address) {
			next.Owner = next.Inside[i].Name
			break
		}
	}
	return next
}

// splice returns a list of sights with that of an observer in place of its former one, and
// without where it is nil.
func splice(sights []Sight, observer string, sight *Sight) []Sight {
	i, found := slices.BinarySearchFunc(sights, observer, Sight.compare)
	if !found && sight == nil {
		return sights
	}
	next := append(make([]Sight, 0, len(sights)+1), sights[:i]...)
	if sight != nil {
		next = append(next, *sight)
	}
	if found {
		i++
	}
	return append(next, sights[i:]...)
}
