package reachability

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/internal/reachability/dispute"
	"github.com/exposedapp/exposedapp/internal/reachability/results"
)

// Grace is how long after a change the first result on it may take before it is missed. For
// as long a node counts as one on which the first ready pod has just come.
const Grace = 30 * time.Second

// AppState is an app, with when it changed and what is remembered of it. It is immutable.
type AppState struct {
	App
	// ChangedAt is when the Service, or whether it has a ready pod at all, changed.
	ChangedAt time.Time
	// MovedAt is when the set of pods that can serve last changed.
	MovedAt time.Time
	// ArrivedAt is when a node got its first ready pod, by node.
	ArrivedAt map[string]time.Time
	// Records are what is remembered of the app by address.
	Records map[netip.Addr]*dispute.Record
	// Judged is whether the app was judged before.
	Judged bool

	// since is the resourceVersion from which a report covers the Service as it
	// is now.
	since results.Version
}

// follow returns the state after the app was seen again. It is nil before the first time.
func (s *AppState) follow(app App, now time.Time) *AppState {
	next := &AppState{App: app, since: results.VersionOf(app.ResourceVersion), ChangedAt: now, MovedAt: now}
	switch {
	case s == nil && app.Known:
		next.ChangedAt = time.Time{}
	case s != nil && s.Service == app.Service:
		next.since, next.ChangedAt, next.MovedAt = s.since, s.ChangedAt, s.MovedAt
		next.Records, next.Judged = s.Records, s.Judged
		if !s.Endpoints.Ready() && app.Endpoints.Ready() {
			next.ChangedAt = now
		}
		if !slices.Equal(s.Endpoints, app.Endpoints) {
			next.MovedAt = now
		}
		next.ArrivedAt = arrivals(s, app, now)
	}
	return next
}

// arrivals notes when each node got its first ready pod. It matters under
// externalTrafficPolicy Local alone, and for as long as the node settles.
func arrivals(before *AppState, app App, now time.Time) map[string]time.Time {
	if !app.Local() {
		return nil
	}
	arrived := make(map[string]time.Time)
	for _, endpoint := range app.Endpoints {
		switch at, noted := before.ArrivedAt[endpoint.Node]; {
		case !endpoint.Ready:
		case !before.Endpoints.ReadyOn(endpoint.Node, endpoint.Family):
			arrived[endpoint.Node] = now
		case noted && now.Sub(at) < Grace:
			arrived[endpoint.Node] = at
		}
	}
	return arrived
}

// LastChange returns when the app or the node last changed in a way that the
// node needs time to follow.
func (s *AppState) LastChange(node *Node) time.Time {
	last := s.ChangedAt
	for _, other := range []time.Time{node.ReadySince, s.ArrivedAt[node.Name]} {
		if other.After(last) {
			last = other
		}
	}
	return last
}

// awaits reports whether an observer answers a question about the app with a round
// after one and up to another.
func (s *AppState) awaits(observer string, after, upTo int64) bool {
	if after == upTo {
		return false
	}
	for _, record := range s.Records {
		if record.Dispute.Awaits(observer, after, upTo) {
			return true
		}
	}
	return false
}

// NodePort returns the node port of the app, 0 where it has none.
func (a *App) NodePort() uint16 { return uint16(a.Service.NodePort) }

// Local reports whether externalTrafficPolicy is Local.
func (a *App) Local() bool {
	return a.Service.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// serviceOf returns what a report must cover to say something of an app.
func serviceOf(app *AppState) results.Service {
	return results.Service{
		Since: app.since, NodePort: app.NodePort(),
		IPv4: slices.Contains(app.Families, corev1.IPv4Protocol),
		IPv6: slices.Contains(app.Families, corev1.IPv6Protocol),
	}
}
