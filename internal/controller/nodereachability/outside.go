package nodereachability

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

const (
	// OutsideTargets is how many nodes an observer outside of the cluster dials at
	// most. A larger cluster has its turn in parts.
	OutsideTargets = 64

	// outsidePeriod is how long a part has its turn at least.
	outsidePeriod = 5 * time.Minute
)

// OutsideSpec returns what an observer outside of the cluster dials and how often it
// reports, and when that changes by itself: never, the zero time, while it dials all
// nodes. Else it goes by the clock alone, so that an operator that restarts finds
// it as it should be. size is as for Specs.
func OutsideSpec(
	observer string, nodes []corev1.Node, size int32, now time.Time,
) (spec v1alpha1.NodeReachabilitySpec, until time.Time) {
	size = clusterSize(len(nodes), size)
	spec = v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: protocol.HeartbeatSeconds(size), ClusterSize: size}
	targets := targetsOf(nodes)
	names := inOrder(slices.Collect(maps.Keys(targets)))
	if len(names) > OutsideTargets {
		// Long enough for a report of the part to be there for most of its turn.
		turn := max(outsidePeriod, protocol.StaleAfter*protocol.Heartbeat(spec.HeartbeatSeconds))
		turns := now.UnixNano() / int64(turn)
		names = part(names, spread(observer)+uint64(turns))
		until = time.Unix(0, (turns+1)*int64(turn))
	}
	for _, name := range names {
		target := targets[name]
		target.Turn = outsiderTurn(len(nodes), len(names))
		spec.Targets = append(spec.Targets, target)
	}
	slices.SortFunc(spec.Targets, func(a, b v1alpha1.Target) int { return cmp.Compare(a.Node, b.Node) })
	return spec, until
}

// part returns OutsideTargets of the names. Parts follow each other, and the last
// takes what it lacks from the first, so that each name is in one of a full round.
func part(names []string, turn uint64) []string {
	parts := uint64(len(names)+OutsideTargets-1) / OutsideTargets
	first := int(turn%parts) * OutsideTargets
	chosen := make([]string, 0, OutsideTargets)
	for i := range OutsideTargets {
		chosen = append(chosen, names[(first+i)%len(names)])
	}
	return chosen
}

// outsiderTurn returns the turn of an observer from outside, which takes none from
// those on nodes: it is halfway between two of theirs, as near as the number of targets
// that turns are counted by allows.
func outsiderTurn(nodes, targets int) int32 {
	observers := max(1, min(Observers, nodes-1))
	return int32((targets - 1 + observers) / (2 * observers))
}
