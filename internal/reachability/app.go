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

// Service identifies what answers on a node port. When any of it changes, what
// was reported before says nothing of it.
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

// Equal reports whether two sights of a Node are the same.
func (n Node) Equal(other Node) bool {
	return n.Name == other.Name && n.Ready == other.Ready && n.Deleting == other.Deleting &&
		n.Excluded == other.Excluded && maps.Equal(n.Labels, other.Labels) &&
		maps.Equal(n.Addresses, other.Addresses) && n.ReadySince.Equal(other.ReadySince)
}

// Ready reports whether there is a ready pod in any of the families.
func (e Endpoints) Ready() bool {
	return slices.ContainsFunc(e, func(one Endpoint) bool { return one.Ready })
}

// ReadyIn reports whether there is a ready pod in a family.
func (e Endpoints) ReadyIn(family corev1.IPFamily) bool {
	return slices.ContainsFunc(e, func(one Endpoint) bool { return one.Ready && one.Family == family })
}

// ServedIn reports whether there is a pod that can serve in a family.
func (e Endpoints) ServedIn(family corev1.IPFamily) bool {
	return slices.ContainsFunc(e, func(one Endpoint) bool { return one.Family == family })
}

// On reports whether a node runs a pod that can serve in a family, and whether one of
// these is ready.
func (e Endpoints) On(node string, family corev1.IPFamily) (serves, ready bool) {
	i, serves := slices.BinarySearchFunc(e, Endpoint{Family: family, Node: node}, Endpoint.Compare)
	return serves, serves && e[i].Ready
}

// ReadyOn reports whether a node runs a ready pod in a family.
func (e Endpoints) ReadyOn(node string, family corev1.IPFamily) bool {
	_, ready := e.On(node, family)
	return ready
}
