package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
)

// world is a subject that plays what else a cluster has, since neither the
// controllers of Kubernetes nor kubelets run beside the API server: the Nodes
// with their conditions and heartbeats, and for any number of apps the status of
// the Deployment and an EndpointSlice with ready endpoints. Who measures the
// operator thus measures it beside a cluster that does what clusters do.
type world struct {
	*player
	nodes int
}

// startWorld starts a world with so many nodes, and waits for them.
func startWorld(ctx context.Context, b *bench, c *cluster, nodes int) (*world, error) {
	p, err := startPlayer(ctx, b, c, "world", strconv.Itoa(nodes))
	if err != nil {
		return nil, err
	}
	w := &world{player: p}
	b.logf("creating %d nodes", nodes)
	return w, w.addNodes(nodes)
}

// addNodes has more nodes join, and waits for them.
func (w *world) addNodes(n int) error {
	err := w.direct("AddNodes", AddNodes{From: w.nodes, To: w.nodes + n}, new(struct{}))
	w.nodes += n
	return err
}

// setNode has the node controller find a node alive or not.
func (w *world) setNode(name string, ready bool) error {
	return w.direct("SetNode", SetNode{name, ready}, new(struct{}))
}

// setApps has the pods of apps be ready or not. It does not wait until that is
// written.
func (w *world) setApps(apps []types.NamespacedName, ready bool) error {
	return w.direct("SetApps", SetApps{apps, ready}, new(struct{}))
}

// nodeName and nodeAddress are those of the node with a number.
func nodeName(i int) string { return fmt.Sprintf("node-%04d", i) }

func nodeAddress(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(128 + i>>16), byte(i >> 8), byte(i)})
}

// AddNodes directs a world to create the nodes from one number up to, but
// without, another.
type AddNodes struct{ From, To int }

// SetNode directs it to find a node alive or not.
type SetNode struct {
	Node  string
	Ready bool
}

// SetApps directs it to have the pods of apps be ready or not.
type SetApps struct {
	Apps  []types.NamespacedName
	Ready bool
}
