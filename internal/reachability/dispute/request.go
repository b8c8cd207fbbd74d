package dispute

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// maxAsked is how many node ports an observer is asked to look at in one request.
// Requests stand in an object that has to stay small, also where all apps fail.
const maxAsked = 64

// Question is what an observer is asked to look at.
type Question struct {
	Round    int64
	NodePort uint16
	Address  netip.Addr
}

// Request returns the request to one observer that asks the questions that come first, and
// are few enough, and whether there are more. An answer to the last of them is one to all
// before it, and to none after.
func Request(questions []Question) (request protocol.Recheck, more bool) {
	slices.SortFunc(questions, func(a, b Question) int { return cmp.Compare(a.Round, b.Round) })
	nodePorts, addresses := make(map[uint16]bool), make(map[netip.Addr]bool)
	for _, question := range questions {
		if nodePorts[question.NodePort] = true; len(nodePorts) > maxAsked {
			delete(nodePorts, question.NodePort)
			more = true
			break
		}
		addresses[question.Address] = true
		request.Round = question.Round
	}
	request.Ports = nodeport.Of(slices.Collect(maps.Keys(nodePorts))...)
	request.Addresses = slices.SortedFunc(maps.Keys(addresses), netip.Addr.Compare)
	return request, more
}
