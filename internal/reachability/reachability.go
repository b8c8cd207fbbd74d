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
//   - A dial that the observer's own kernel takes elsewhere is no word about the node,
//     nor is one of an address of the observer's own host.
//   - What observers out of the cluster say is held against what those in it say, and
//     stands in for it where there is nothing.
//   - A report speaks of the addresses that its observer was given, and of nothing else.
//   - A report that is not renewed for three heartbeats is stale and says
//     nothing.
//   - Where observers disagree, they are asked to look again: only words newer
//     than the disagreement are held against each other.
//   - An observer that reaches no other node, where others do, is itself the
//     problem: its word is set aside, and it is named. That is the exception: where
//     it is not the minority, it is not made.
//   - Where nobody can tell, the verdict is Unknown, and says why.
//
// The package makes no call and reads no clock.
package reachability

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// grace is how long after a change the first word on it may take before it
	// is missed.
	grace = 30 * time.Second

	// settle is how long after a change a failure is not yet held against a
	// node: kube-proxy programs Services and endpoints with a delay.
	settle = 5 * time.Second
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

// Endpoints are the nodes that run a pod of an app which can serve, each once per IP
// family, in the order of Compare.
type Endpoints []Endpoint

// Endpoint is a node that runs such pods.
type Endpoint struct {
	Family corev1.IPFamily
	Node   string
	// Ready is whether one of them is ready. They may only go on serving while they are
	// being terminated.
	Ready bool
}

// Compare orders Endpoints by IP family and node.
func (e Endpoint) Compare(other Endpoint) int {
	return cmp.Or(cmp.Compare(e.Family, other.Family), cmp.Compare(e.Node, other.Node))
}

// App is what the operator sees of an app at one time.
type App struct {
	Service Service
	// ResourceVersion is the Service's.
	ResourceVersion string
	Families        []corev1.IPFamily
	Endpoints       Endpoints
	// Expected selects the nodes that are expected to answer; all are if it is nil.
	Expected labels.Selector
	// Period is the time between two probes of a node by one observer.
	Period time.Duration
	// Known is whether an earlier operator already judged this Service, so that
	// meeting it for the first time is no change.
	Known bool
	// Disputed are the addresses on which an earlier operator found observers to
	// disagree.
	Disputed map[netip.Addr]bool
}

// Node is what the operator sees of a Node.
type Node struct {
	Name      string
	Ready     bool
	Deleting  bool
	Addresses map[corev1.IPFamily]netip.Addr
	Labels    labels.Set
	// Excluded is whether no app's node port is expected to answer here.
	Excluded bool
	// ReadySince is when the Node's Ready condition last changed.
	ReadySince time.Time
}

// Equal tells whether two sights of a Node are the same.
func (n Node) Equal(other Node) bool {
	return n.Name == other.Name && n.Ready == other.Ready && n.Deleting == other.Deleting &&
		n.Excluded == other.Excluded && maps.Equal(n.Labels, other.Labels) &&
		maps.Equal(n.Addresses, other.Addresses) && n.ReadySince.Equal(other.ReadySince)
}

// Ready tells whether there is a ready pod in any of the families.
func (e Endpoints) Ready() bool {
	return slices.ContainsFunc(e, func(one Endpoint) bool { return one.Ready })
}

// ReadyIn tells whether there is a ready pod in a family.
func (e Endpoints) ReadyIn(family corev1.IPFamily) bool {
	return slices.ContainsFunc(e, func(one Endpoint) bool { return one.Ready && one.Family == family })
}

// servedIn tells whether there is a pod that can serve in a family.
func (e Endpoints) servedIn(family corev1.IPFamily) bool {
	return slices.ContainsFunc(e, func(one Endpoint) bool { return one.Family == family })
}

// on tells whether a node runs a pod that can serve in a family, and whether one of
// these is ready.
func (e Endpoints) on(node string, family corev1.IPFamily) (serves, ready bool) {
	i, serves := slices.BinarySearchFunc(e, Endpoint{Family: family, Node: node}, Endpoint.Compare)
	return serves, serves && e[i].Ready
}

func (e Endpoints) readyOn(node string, family corev1.IPFamily) bool {
	_, ready := e.on(node, family)
	return ready
}
