package reachability

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability/dispute"
	"github.com/exposedapp/exposedapp/internal/reachability/results"
)

// Report reads a report and folds it in.
func (s *State) Report(object *v1alpha1.NodeReachability, now time.Time) ([]types.NamespacedName, error) {
	received := Read(object.DeepCopy())
	return s.Fold(received, now), received.Err()
}

// Same reports whether all that two states know is the same, down to the last value. What a
// Site has found out from the rest of itself, and buffers, may differ.
func (s *State) Same(other *State) bool {
	sameSite := func(a, b *Site) bool {
		return a == nil && b == nil || a != nil && b != nil && a.Address == b.Address && a.Text == b.Text && a.Owner == b.Owner &&
			reflect.DeepEqual(a.Inside, b.Inside) && reflect.DeepEqual(a.Outside, b.Outside)
	}
	samePair := func(a, b pair) bool { return sameSite(a[0], b[0]) && sameSite(a[1], b[1]) }
	return reflect.DeepEqual(s.observers, other.observers) && s.reaching == other.reaching && s.cutOff == other.cutOff &&
		reflect.DeepEqual(s.apps, other.apps) && reflect.DeepEqual(s.services, other.services) &&
		reflect.DeepEqual(s.tracker.Bounds(), other.tracker.Bounds()) && s.postponed == other.postponed &&
		reflect.DeepEqual(s.nodes, other.nodes) && reflect.DeepEqual(s.present, other.present) &&
		maps.EqualFunc(s.sites, other.sites, sameSite) && slices.EqualFunc(s.targets.pairs, other.targets.pairs, samePair) &&
		reflect.DeepEqual(s.targets.slots, other.targets.slots) && s.pausedAt.Equal(other.pausedAt)
}

// Wrong returns what is kept for speed's sake and does not say what a look at all reports,
// nodes and apps does.
func (s *State) Wrong() (wrong []string) {
	expect := func(what string, kept, counted any) {
		if !reflect.DeepEqual(kept, counted) {
			wrong = append(wrong, fmt.Sprintf("%s: kept %v, really %v", what, kept, counted))
		}
	}
	reaching, cutOff := 0, 0
	for _, observer := range s.observers {
		expect(observer.Name+" is present", observer.Present, s.present[observer.Name])
		if !observer.Outside && observer.Present && !observer.Stale {
			isReaching, isCutOff := observer.reach()
			reaching, cutOff = reaching+count(isReaching), cutOff+count(isCutOff)
		}
	}
	expect("reaching, cut off", [2]int{s.reaching, s.cutOff}, [2]int{reaching, cutOff})
	for i := range s.nodes {
		for family, address := range s.nodes[i].Addresses {
			expect("site of "+s.nodes[i].Name, s.targets.pairs[i][index(family)], s.sites[address])
		}
	}
	for address, site := range s.sites {
		expect("observers of "+site.Text, names(site.Inside), s.dialling(address, false))
		expect("observers outside of "+site.Text, names(site.Outside), s.dialling(address, true))
	}
	var bounds dispute.Bounds
	var known results.Services
	for _, app := range s.apps {
		known = known.With(serviceOf(app))
		for address, record := range app.Records {
			bounds = bounds.With(app.NodePort(), dispute.Change{Address: address, After: record})
		}
	}
	// With one more, as no map and an empty one are the same.
	bounds = bounds.With(1, dispute.Change{After: &dispute.Record{Dispute: dispute.Open(time.Time{})}})
	kept := s.tracker.Bounds().With(1, dispute.Change{After: &dispute.Record{Dispute: dispute.Open(time.Time{})}})
	expect("bounds", kept, bounds)
	expect("services", s.services, known)
	return wrong
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func names(sights []Sight) (names []string) {
	for i := range sights {
		names = append(names, sights[i].Name)
	}
	return names
}

func (s *State) dialling(address netip.Addr, outside bool) (observers []string) {
	for _, observer := range s.observers {
		if observer.Outside == outside && slices.Contains(observer.Addresses, address) {
			observers = append(observers, observer.Name)
		}
	}
	slices.SortFunc(observers, strings.Compare)
	return observers
}

// Said counts what the observers of a node report of an app, one by one.
func (s *Site) Said(node string, app *AppState) map[protocol.Outcome]int {
	said := make(map[protocol.Outcome]int)
	for i := range s.Inside {
		if sight := &s.Inside[i]; sight.Counts() && sight.Name != node {
			outcome, _ := sight.Outcome(app)
			said[outcome]++
		}
	}
	return said
}
