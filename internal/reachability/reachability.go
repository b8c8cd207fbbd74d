// Package reachability judges whether the nodes of a cluster answer on an app's
// node port. Agents report what they found (NodeReachability); the Matrix keeps
// their reports in memory and folds them into one verdict per node and IP
// family. The rules of truth live here and nowhere else:
//
//   - A node's own word is no proof: kube-proxy lets host-local traffic bypass
//     externalTrafficPolicy. Only in a cluster of one node does it count.
//   - A report speaks of the Services that it knew. What it says of a node port
//     counts only for the Service that it covers, never for a later one on the
//     same port.
//   - A report that is not renewed for three heartbeats is stale and says
//     nothing.
//   - Where nobody can tell, the verdict is Unknown, and says why.
//
// The package makes no call and reads no clock.
package reachability

import (
	"maps"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// grace is how long after a change the first word on it may take before it
	// is missed.
	grace = 30 * time.Second

	// settle is how long after a change a failure is not yet held against a
	// node: kube-proxy programs Services and endpoints with a delay.
	settle = 5 * time.Second

	// staleHeartbeats is the number of heartbeats after which a report that was
	// not renewed says nothing.
	staleHeartbeats = 3
)

// Service identifies what answers on a node port. When any of it changes, what
// was reported before is no word on it.
type Service struct {
	UID                   types.UID
	NodePort              int32
	Port                  int32
	TargetPort            string
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy
	// Families are the Service's IP families, comma-separated.
	Families string
	// Probe is the annotation that tells agents what to fetch.
	Probe string
}

// Endpoints are the nodes that run a ready pod of an app, per IP family.
type Endpoints map[corev1.IPFamily]map[string]bool

// App is what the operator sees of an app at one time.
type App struct {
	Service Service
	// ResourceVersion is the Service's.
	ResourceVersion string
	Families        []corev1.IPFamily
	Endpoints       Endpoints
	// Known is whether an earlier operator already judged this Service, so that
	// meeting it for the first time is no change.
	Known bool
}

// Node is what the operator sees of a Node.
type Node struct {
	Name      string
	Ready     bool
	Deleting  bool
	Addresses map[corev1.IPFamily]netip.Addr
	// ReadySince is when the Node's Ready condition last changed.
	ReadySince time.Time
}

// Equal tells whether two sights of a Node are the same.
func (n Node) Equal(other Node) bool {
	return n.Name == other.Name && n.Ready == other.Ready && n.Deleting == other.Deleting &&
		maps.Equal(n.Addresses, other.Addresses) && n.ReadySince.Equal(other.ReadySince)
}

// subject is an app under judgement.
type subject struct {
	App
	// since is the resourceVersion from which a report covers the Service as it
	// is now.
	since string
	// changed is when the Service, or whether it has endpoints at all, changed.
	changed time.Time
	// arrived is when a node got its first ready pod, by node.
	arrived map[string]time.Time
}

// follow returns the subject after the app was seen again.
func (s *subject) follow(app App, now time.Time) *subject {
	next := &subject{App: app, since: app.ResourceVersion, changed: now}
	switch {
	case s == nil && app.Known:
		next.changed = time.Time{}
	case s != nil && s.Service == app.Service:
		next.since, next.changed = s.since, s.changed
		if !s.Endpoints.Any() && app.Endpoints.Any() {
			next.changed = now
		}
		next.arrived = arrivals(s, app, now)
	}
	return next
}

// arrivals notes when each node got its first ready pod. It matters under
// externalTrafficPolicy Local alone, and for as long as the node settles.
func arrivals(before *subject, app App, now time.Time) map[string]time.Time {
	if app.Service.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		return nil
	}
	arrived := make(map[string]time.Time)
	for family, nodes := range app.Endpoints {
		for node := range nodes {
			switch at, noted := before.arrived[node]; {
			case !before.Endpoints[family][node]:
				arrived[node] = now
			case noted && now.Sub(at) < grace:
				arrived[node] = at
			}
		}
	}
	return arrived
}

// Any tells whether there is a ready pod at all.
func (e Endpoints) Any() bool {
	for _, nodes := range e {
		if len(nodes) > 0 {
			return true
		}
	}
	return false
}
