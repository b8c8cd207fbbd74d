package nodereachability

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	applyv1alpha1 "github.com/exposedapp/exposedapp/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// wanted is a NodeReachability as it should be.
type wanted struct {
	name string
	// node is the UID of the Node that is to own it, and object that of the one that
	// an admin made: one of them is empty.
	node, object types.UID
	spec         v1alpha1.NodeReachabilitySpec
}

// wantedOfNodes returns the NodeReachabilities of the Nodes, by name.
func wantedOfNodes(nodes []corev1.Node, size int32) []wanted {
	specs := Specs(nodes, size)
	all := make([]wanted, 0, len(nodes))
	for i := range nodes {
		all = append(all, wanted{name: nodes[i].Name, node: nodes[i].UID, spec: specs[nodes[i].Name]})
	}
	return all
}

// wantedOutside returns those of the observers outside of the cluster, but for such as
// have the name of a Node, and when they change by themselves.
func wantedOutside(
	current map[string]*v1alpha1.NodeReachability, nodes []corev1.Node, size int32, now time.Time,
) (all []wanted, until time.Time) {
	for name, have := range current {
		sameName := func(node corev1.Node) bool { return node.Name == name }
		if !have.Outside() || slices.ContainsFunc(nodes, sameName) {
			continue
		}
		want := wanted{name: name, object: have.UID}
		want.spec, until = OutsideSpec(name, nodes, size, now)
		all = append(all, want)
	}
	return all, until
}

// configuration returns what the operator applies. An object that an admin made is
// named by its UID: the API server does not create it again where that is gone.
func (w *wanted) configuration() *applyv1alpha1.NodeReachabilityApplyConfiguration {
	spec := applyv1alpha1.NodeReachabilitySpec().
		WithHeartbeatSeconds(w.spec.HeartbeatSeconds).WithClusterSize(w.spec.ClusterSize)
	for _, target := range w.spec.Targets {
		spec.WithTargets(applyv1alpha1.Target().WithNode(target.Node).WithAddresses(target.Addresses...).WithTurn(target.Turn))
	}
	if recheck := w.spec.Recheck; recheck != nil {
		spec.WithRecheck(applyv1alpha1.Recheck().
			WithRound(recheck.Round).WithNodePorts(recheck.NodePorts).WithAddresses(recheck.Addresses...))
	}
	configuration := applyv1alpha1.NodeReachability(w.name).WithSpec(spec)
	if w.object != "" {
		return configuration.WithUID(w.object)
	}
	return configuration.WithOwnerReferences(metav1ac.OwnerReference().
		WithAPIVersion("v1").WithKind("Node").WithName(w.name).WithUID(w.node))
}

// written returns what an apply made, as version, of what decides whether another one is
// needed.
func (w *wanted) written(version string) *v1alpha1.NodeReachability {
	made := &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: w.name, UID: w.object, ResourceVersion: version}, Spec: w.spec,
	}
	if w.object != "" {
		made.Labels = map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
	} else {
		made.OwnerReferences = []metav1.OwnerReference{{UID: w.node}}
	}
	return made
}

// owned reports whether the NodeReachability has the owner that it should have.
func (w *wanted) owned(have *v1alpha1.NodeReachability) bool {
	if w.object != "" {
		return have.UID == w.object
	}
	return len(have.OwnerReferences) == 1 && have.OwnerReferences[0].UID == w.node
}

// Specs returns, by the name of the node, what each agent dials and how often
// it reports. size is the size of the cluster that the specs have now.
func Specs(nodes []corev1.Node, size int32) map[string]v1alpha1.NodeReachabilitySpec {
	targets := targetsOf(nodes)
	ring := Ring(slices.Collect(maps.Keys(targets)))
	size = clusterSize(len(nodes), size)

	specs := make(map[string]v1alpha1.NodeReachabilitySpec, len(nodes))
	for _, node := range slices.Sorted(maps.Keys(targets)) {
		spec := v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: protocol.HeartbeatSeconds(size), ClusterSize: size}
		for turn, name := range append([]string{node}, ring[node]...) {
			target := targets[name]
			target.Turn = int32(turn)
			spec.Targets = append(spec.Targets, target)
		}
		slices.SortFunc(spec.Targets, func(a, b v1alpha1.Target) int { return cmp.Compare(a.Node, b.Node) })
		specs[node] = spec
	}
	return specs
}

// targetsOf returns the nodes as targets, by name.
func targetsOf(nodes []corev1.Node) map[string]v1alpha1.Target {
	targets := make(map[string]v1alpha1.Target, len(nodes))
	for i := range nodes {
		targets[nodes[i].Name] = target(&nodes[i])
	}
	return targets
}

func target(node *corev1.Node) v1alpha1.Target {
	target := v1alpha1.Target{Node: node.Name}
	addresses := Addresses(node)
	for _, family := range []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol} {
		if address, found := addresses[family]; found {
			target.Addresses = append(target.Addresses, address.String())
		}
	}
	return target
}

// smallest is the size that every smaller cluster counts as.
const smallest = 16

// clusterSize rounds a number of nodes up, in steps of a quarter, so that it is
// seldom that another size has to be written to all specs. It returns current if
// that is at most one step too large: a cluster whose nodes come and go at the
// edge of a step would else go to and fro.
func clusterSize(nodes int, current int32) int32 {
	size := int32(smallest)
	for int(size) < nodes {
		size = larger(size)
	}
	if current == larger(size) {
		return current
	}
	return size
}

func larger(size int32) int32 {
	return size + size/4
}
