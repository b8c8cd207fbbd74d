package reachability

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/dump"

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

// Dump writes all of the state down.
func (s *State) Dump() string { return dump.ForHash(s) }

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
	expect("bounds", dump.ForHash(kept), dump.ForHash(bounds))
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
