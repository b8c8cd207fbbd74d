package nodereachability

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

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
