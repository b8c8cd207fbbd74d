package reachability

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// subject is an app under judgement.
type subject struct {
	App
	// since is the resourceVersion from which a report covers the Service as it
	// is now.
	since string
	// changed is when the Service, or whether it has a ready pod at all, changed.
	changed time.Time
	// moved is when the set of pods that can serve last changed.
	moved time.Time
	// arrived is when a node got its first ready pod, by node.
	arrived map[string]time.Time
	// doubts are the addresses that observers disagree on.
	doubts map[netip.Addr]*doubt
	// failing is since when observers fail, by address and observer.
	failing map[netip.Addr]map[string]time.Time
	// contested is since when observers out of the cluster do not reach an address that
	// those in it do.
	contested map[netip.Addr]time.Time
	// recovered is when all in the cluster last began to reach an address again that
	// observers out of it dial as well.
	recovered map[netip.Addr]time.Time
	// judged is whether the app was judged before.
	judged bool
}

// contest returns for how long it may take yet until every word is newer than the
// contradiction of those out of the cluster that do not reach an address and those in it
// that do. One that was there before the app was first judged is an old one.
func (s *subject) contest(words *testimony, address netip.Addr, now time.Time) (left time.Duration) {
	h := &words.outside
	if words.excuse != "" || len(words.reached) == 0 || len(h.failed)+len(h.isolated) == 0 {
		delete(s.contested, address)
		return 0
	}
	since, found := s.contested[address]
	if !found {
		if s.judged && !s.Disputed[address] {
			since = now
		}
		if s.contested == nil {
			s.contested = make(map[netip.Addr]time.Time)
		}
		s.contested[address] = since
	}
	return max(since.Add(max(words.cycle, h.cycle)).Sub(now), 0)
}

// follow returns the subject after the app was seen again.
func (s *subject) follow(app App, now time.Time) *subject {
	next := &subject{App: app, since: app.ResourceVersion, changed: now, moved: now}
	switch {
	case s == nil && app.Known:
		next.changed = time.Time{}
	case s != nil && s.Service == app.Service:
		next.since, next.changed, next.moved = s.since, s.changed, s.moved
		next.doubts, next.failing, next.judged = s.doubts, s.failing, s.judged
		next.contested, next.recovered = s.contested, s.recovered
		if !s.Endpoints.Ready() && app.Endpoints.Ready() {
			next.changed = now
		}
		if !slices.Equal(s.Endpoints, app.Endpoints) {
			next.moved = now
		}
		next.arrived = arrivals(s, app, now)
	}
	return next
}

// arrivals notes when each node got its first ready pod. It matters under
// externalTrafficPolicy Local alone, and for as long as the node settles.
func arrivals(before *subject, app App, now time.Time) map[string]time.Time {
	if !app.local() {
		return nil
	}
	arrived := make(map[string]time.Time)
	for _, endpoint := range app.Endpoints {
		switch at, noted := before.arrived[endpoint.Node]; {
		case !endpoint.Ready:
		case !before.Endpoints.readyOn(endpoint.Node, endpoint.Family):
			arrived[endpoint.Node] = now
		case noted && now.Sub(at) < grace:
			arrived[endpoint.Node] = at
		}
	}
	return arrived
}

// lastChange returns when the app or the node last changed in a way that the
// node needs time to follow.
func (s *subject) lastChange(node *Node) time.Time {
	last := s.changed
	for _, other := range []time.Time{node.ReadySince, s.arrived[node.Name]} {
		if other.After(last) {
			last = other
		}
	}
	return last
}

func (a *App) local() bool {
	return a.Service.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}
