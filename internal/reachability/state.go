package reachability

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/internal/reachability/dispute"
	"github.com/exposedapp/exposedapp/internal/reachability/results"
)

// State holds the newest report of every observer, the nodes, and the apps that are
// exposed on them. It is safe for concurrent use. All that it points to is immutable: a
// change puts something else in its place, so that a Snapshot costs next to nothing.
type State struct {
	mu        sync.Mutex
	observers map[string]*Observer
	// reaching and cutOff count the observers in the cluster that are heard and reach any
	// other node, or are cut off from all.
	reaching, cutOff int

	apps     map[types.NamespacedName]*AppState
	services results.Services
	tracker  *dispute.Tracker
	// postponed is whether some questions have to wait for an answer to others.
	postponed bool

	nodes   []Node
	present map[string]bool
	// sites are the addresses of nodes and those that observers dial.
	sites   map[netip.Addr]*Site
	targets targets

	// touching are the apps that the last report touched.
	touching []types.NamespacedName
	// pausedAt is since when reports cannot become stale, zero while they can.
	pausedAt time.Time
}

// NewState returns an empty State.
func NewState() *State {
	return &State{
		observers: make(map[string]*Observer),
		apps:      make(map[types.NamespacedName]*AppState),
		sites:     make(map[netip.Addr]*Site),
		tracker:   dispute.NewTracker(),
	}
}

// SetNodes takes note of the Nodes there are, in the order of the verdicts.
func (s *State) SetNodes(nodes []Node) {
	present := make(map[string]bool, len(nodes))
	for i := range nodes {
		present[nodes[i].Name] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes, s.present, s.targets = slices.Clone(nodes), present, newTargets(nodes)
	for _, observer := range s.observers {
		if observer.Present != present[observer.Name] {
			next := *observer
			next.Present = present[observer.Name]
			s.replace(observer.Name, observer, &next)
		}
	}
	for address, site := range s.sites {
		s.setSite(address, site)
	}
	for address := range s.targets.slots {
		if s.sites[address] == nil {
			s.setSite(address, newSite(address))
		}
	}
	for key, app := range s.apps {
		s.apps[key] = s.without(app, func(address netip.Addr) bool { return s.targets.slots[address] == nil })
	}
}

// Nodes returns how many Nodes there are.
func (s *State) Nodes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.nodes)
}

// SetApp takes note of an app as it is now.
func (s *State) SetApp(key types.NamespacedName, app App, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.apps[key]
	next := before.follow(app, now)
	if before == nil || before.Service != app.Service {
		s.drop(before)
		s.services = s.services.With(serviceOf(next))
	}
	s.apps[key] = next
}

// DeleteApp drops an app.
func (s *State) DeleteApp(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.apps[key])
	delete(s.apps, key)
}

// drop forgets what is remembered of an app. There may be no such app.
func (s *State) drop(app *AppState) {
	if app != nil {
		s.services = s.services.Without(serviceOf(app))
		s.without(app, func(netip.Addr) bool { return true })
	}
}

// without returns an app of which nothing is remembered at some addresses.
func (s *State) without(app *AppState, at func(netip.Addr) bool) *AppState {
	var changes []dispute.Change
	for address, record := range app.Records {
		if at(address) {
			changes = append(changes, dispute.Change{Address: address, Before: record})
		}
	}
	return s.remember(app, changes, time.Time{})
}

// Fold takes an observer's report and returns the apps of which it may report something
// else. One that cannot be read replaces the former one and says nothing. Nor does one
// that was folded in before: a list brings again what is known.
func (s *State) Fold(received *Report, now time.Time) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.observers[received.Name]
	if before != nil && before.isFrom(received) {
		return nil
	}
	next := before.next(received, now)
	next.Present = s.present[received.Name]
	touched := s.touched(received.Name, before, next)
	s.replace(received.Name, before, next)
	if s.postponed && before != nil && next.RecheckRound > before.RecheckRound {
		s.tracker.Remind()
	}
	return touched
}

// Reports returns the newest report of every observer, by name. Nobody may change them.
func (s *State) Reports() []*Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := make([]*Report, 0, len(s.observers))
	for _, observer := range s.observers {
		reports = append(reports, observer.received)
	}
	slices.SortFunc(reports, func(a, b *Report) int { return strings.Compare(a.Name, b.Name) })
	return reports
}

// ReportOf returns the newest report of an observer, nil if there is none.
func (s *State) ReportOf(observer string) *Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.observers[observer]; known != nil {
		return known.received
	}
	return nil
}

// Remove drops an observer and returns the apps of which it reported something.
func (s *State) Remove(observer string) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.observers[observer]
	if before == nil {
		return nil
	}
	s.replace(observer, before, nil)
	return s.touched(observer, before, nil)
}

// Expire silences the reports that became stale and returns the apps of which they
// reported something.
func (s *State) Expire(now time.Time) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := make(map[types.NamespacedName]struct{})
	for _, observer := range s.due(now) {
		for _, key := range s.touched(observer.Name, observer, nil) {
			touched[key] = struct{}{}
		}
		stale := *observer
		stale.Stale = true
		s.replace(observer.Name, observer, &stale)
	}
	return slices.Collect(maps.Keys(touched))
}

// Due returns the longest heartbeat of the reports that would become stale now, 0 where
// none would.
func (s *State) Due(now time.Time) (heartbeat time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, observer := range s.due(now) {
		heartbeat = max(heartbeat, observer.Heartbeat)
	}
	return heartbeat
}

func (s *State) due(now time.Time) (due []*Observer) {
	if !s.pausedAt.IsZero() {
		return nil
	}
	for _, observer := range s.observers {
		if !observer.Stale && observer.overdue(now) {
			due = append(due, observer)
		}
	}
	return due
}

// PauseExpiry stops the time by which reports become stale, because no new ones can come.
// That says nothing of those that came before.
func (s *State) PauseExpiry(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pausedAt.IsZero() {
		s.pausedAt = now
	}
}

// ResumeExpiry ends that. Observers have as long to renew their reports as they had left.
func (s *State) ResumeExpiry(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pausedAt.IsZero() {
		return
	}
	for _, observer := range s.observers {
		next := *observer
		if next.ReportedAt = next.ReportedAt.Add(now.Sub(s.pausedAt)); next.ReportedAt.After(now) {
			next.ReportedAt = now
		}
		s.replace(observer.Name, observer, &next)
	}
	s.pausedAt = time.Time{}
}

// replace has another state of an observer take the place of one. Each may be nil.
func (s *State) replace(name string, before, next *Observer) {
	s.count(before, -1)
	s.count(next, 1)
	if s.observers[name] = next; next == nil {
		delete(s.observers, name)
	}
	if before != nil {
		for _, address := range before.Addresses {
			s.report(address, name, next)
		}
	}
	if next != nil {
		for _, address := range next.Addresses {
			if before == nil || !before.Dials(address) {
				s.report(address, name, next)
			}
		}
	}
}

func (s *State) count(observer *Observer, more int) {
	switch {
	case observer == nil || observer.Outside || !observer.Counts():
	case observer.cutOff:
		s.cutOff += more
	case observer.reaching:
		s.reaching += more
	}
}

// report has an observer report something else of an address.
func (s *State) report(address netip.Addr, name string, observer *Observer) {
	site := s.sites[address]
	if site == nil {
		site = newSite(address)
	}
	s.setSite(address, site.with(name, observer))
}

// setSite puts a site in its place. It is dropped where it is not of a node, and nobody
// dials it.
func (s *State) setSite(address netip.Addr, site *Site) {
	if s.targets.slots[address] == nil && len(site.Inside)+len(site.Outside) == 0 {
		delete(s.sites, address)
		return
	}
	s.sites[address] = site
	s.targets.set(address, site)
}

// touched returns the apps on which two successive reports of one observer
// differ, or for which the later one answers a request to look again.
func (s *State) touched(observer string, before, next *Observer) []types.NamespacedName {
	before, next = before.speaking(), next.speaking()
	changed, newer := results.Differing(before.Results, next.Results), next.Version != before.Version
	// Thousands may be touched: they are gathered in one place, and handed out cut to size.
	keys := s.touching[:0]
	for key, app := range s.apps {
		if changed.Contains(app.NodePort()) ||
			newer && next.Version.Covers(app.since) != before.Version.Covers(app.since) ||
			app.awaits(observer, before.RecheckRound, next.RecheckRound) {
			keys = append(keys, key)
		}
	}
	s.touching = keys
	return slices.Clone(keys)
}
