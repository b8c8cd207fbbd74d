package agent

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/schedule"
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
	schedule.Assignment

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
		Assignment: schedule.Assignment{
			Heartbeat: protocol.Heartbeat(reachability.Spec.HeartbeatSeconds),
			Size:      int(max(1, reachability.Spec.ClusterSize)),
			Turns:     map[netip.Addr]uint32{},
		},
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
			a.Addresses = append(a.Addresses, address)
			a.Turns[address] = turnOf(target.Turn, len(reachability.Spec.Targets)-1)
			if target.Node == reachability.Name {
				a.Own = append(a.Own, address)
			}
		}
	}
	slices.SortFunc(a.Addresses, netip.Addr.Compare)
	a.Addresses = slices.Compact(a.Addresses)
	a.Addresses = a.Addresses[:min(len(a.Addresses), maxAddresses)]
	return a
}

// turnOf returns a turn among others as a fraction of 2³². The last of them
// begins the next period; so does the target itself, which has turn 0.
func turnOf(turn int32, others int) uint32 {
	turns := uint64(max(others, 1))
	return uint32(uint64(turn) % turns << 32 / turns)
}
