package agent

import (
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// maxAddresses is how many addresses a report can list.
const maxAddresses = 128

// assignment is what the operator asks of this agent, as far as the agent is
// willing to follow.
type assignment struct {
	uid        types.UID
	generation int64
	heartbeat  time.Duration
	// size is that of the cluster, in nodes.
	size int

	// addresses are ascending and unique, and own are those of the node itself.
	addresses []netip.Addr
	own       []netip.Addr

	// turns are this node's turns in the periods of the addresses, as fractions
	// of 2³².
	turns map[netip.Addr]uint32

	// recheck is what to probe out of turn, unless unreadable says why it cannot
	// be read.
	recheck    protocol.Recheck
	unreadable error

	// refused are the addresses that are not dialled.
	refused []string
}

func assignmentOf(reachability *v1alpha1.NodeReachability) assignment {
	a := assignment{
		uid:        reachability.UID,
		generation: reachability.Generation,
		heartbeat:  protocol.Heartbeat(reachability.Spec.HeartbeatSeconds),
		size:       int(max(1, reachability.Spec.ClusterSize)),
		turns:      map[netip.Addr]uint32{},
	}
	a.recheck, a.unreadable = protocol.DecodeRecheck(reachability.Spec.Recheck)
	for _, target := range reachability.Spec.Targets {
		for _, text := range target.Addresses {
			address, err := netip.ParseAddr(text)
			address = address.Unmap()
			if err != nil || !probe.Dialable(address) {
				a.refused = append(a.refused, text)
				continue
			}
			a.addresses = append(a.addresses, address)
			a.turns[address] = turnOf(target.Turn, len(reachability.Spec.Targets)-1)
			if target.Node == reachability.Name {
				a.own = append(a.own, address)
			}
		}
	}
	slices.SortFunc(a.addresses, netip.Addr.Compare)
	a.addresses = slices.Compact(a.addresses)
	a.addresses = a.addresses[:min(len(a.addresses), maxAddresses)]
	return a
}

// turnOf returns a turn among others as a fraction of 2³². The last of them
// begins the next period; so does the target itself, which has turn 0.
func turnOf(turn int32, others int) uint32 {
	turns := uint64(max(others, 1))
	return uint32(uint64(turn) % turns << 32 / turns)
}
