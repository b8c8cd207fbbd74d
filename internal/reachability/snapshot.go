package reachability

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/reachability/dispute"
	"github.com/exposedapp/exposedapp/internal/reachability/results"
)

// Snapshot is all that matters to one app, at one time. It never changes.
type Snapshot struct {
	// App is nil where there is no such app.
	App   *AppState
	Nodes []Node
	// Exceptional is whether observers that are cut off from all other nodes are the
	// exception. Where they are not fewer than those that reach anything, it is not they
	// who are the problem.
	Exceptional bool
	// Bounds are the counts of what is remembered of all apps.
	Bounds dispute.Bounds

	targets  targets
	services results.Services
}

// Snapshot returns what matters to an app now.
func (s *State) Snapshot(key types.NamespacedName) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Snapshot{
		App: s.apps[key], Nodes: s.nodes, Exceptional: s.cutOff < s.reaching, Bounds: s.tracker.Bounds(),
		targets: s.targets.share(), services: s.services,
	}
}

// Site returns the site of a node, by its index, in an IP family, nil where it has no
// address there.
func (s *Snapshot) Site(node int, family corev1.IPFamily) *Site {
	return s.targets.pairs[node][index(family)]
}

// SiteOf returns the site of an address, nil where it is not of a node.
func (s *Snapshot) SiteOf(address netip.Addr) *Site {
	return s.targets.at(address)
}

// Covered returns how many of the apps an observer's report covers, and NodePorts returns
// the node ports of these in the IP family of an address. Reports that cover as many cover
// the same.
func (s *Snapshot) Covered(observer *Observer) int { return s.services.Covered(observer.Version) }

// NodePorts is described above.
func (s *Snapshot) NodePorts(covered int, address netip.Addr) nodeport.Set {
	return s.services[:covered].PortsAt(address)
}

// Remember commits what an evaluation of a Snapshot, at a time, found to be remembered of
// its app. What changed in between stays as it is: it will be judged again.
func (s *State) Remember(key types.NamespacedName, judged *AppState, changes []dispute.Change, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	app := s.apps[key]
	if app == nil || app.Service != judged.Service || app.Judged && len(changes) == 0 {
		return
	}
	changes = slices.DeleteFunc(changes, func(change dispute.Change) bool {
		return app.Records[change.Address] != change.Before || s.targets.slots[change.Address] == nil
	})
	next := *s.remember(app, changes, now)
	next.Judged = true
	s.apps[key] = &next
}

// remember returns an app with some changes of what is remembered of it.
func (s *State) remember(app *AppState, changes []dispute.Change, now time.Time) *AppState {
	if len(changes) == 0 {
		return app
	}
	next := *app
	next.Records = make(map[netip.Addr]*dispute.Record, len(app.Records)+len(changes))
	maps.Copy(next.Records, app.Records)
	for _, change := range changes {
		s.tracker.Commit(app.NodePort(), change, s.lastRound, now)
		if change.After == nil {
			delete(next.Records, change.Address)
			continue
		}
		next.Records[change.Address] = change.After
	}
	return &next
}

// lastRound returns the last round of a request that an observer heard of.
func (s *State) lastRound(observer string) int64 {
	if known := s.observers[observer]; known != nil {
		return max(known.Asked.Round, known.RecheckRound)
	}
	return 0
}

// Requested tells when there are new Requests.
func (s *State) Requested() <-chan struct{} { return s.tracker.Asked() }

// Requests returns what each observer that disagrees with another is to look at
// again, and has not yet. What is too much for one request follows when that is answered.
func (s *State) Requests() map[string]v1alpha1.Recheck {
	s.mu.Lock()
	defer s.mu.Unlock()
	questions := make(map[string][]dispute.Question)
	for _, app := range s.apps {
		for address, record := range app.Records {
			for observer, round := range record.Dispute.Rounds() {
				if known := s.observers[observer]; known != nil && known.RecheckRound < round {
					questions[observer] = append(questions[observer],
						dispute.Question{Round: round, NodePort: app.NodePort(), Address: address})
				}
			}
		}
	}
	s.postponed = false
	requests := make(map[string]v1alpha1.Recheck, len(questions))
	for observer, all := range questions {
		request, rest := dispute.Request(all)
		s.postponed = s.postponed || rest
		requests[observer] = request.Encode()
	}
	return requests
}
