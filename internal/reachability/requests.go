package reachability

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// askedAtOnce is how many node ports an observer is asked to look at in one request.
// Requests stand in an object that has to stay small, also where all apps fail.
const askedAtOnce = 64

// unanswered is a question that an observer has not answered.
type unanswered struct {
	round    int64
	nodePort uint16
	address  netip.Addr
}

// awaits tells whether an observer answers a request about the app with a round
// after one and up to another.
func (s *subject) awaits(observer string, after, upTo int64) bool {
	if after == upTo {
		return false
	}
	for _, open := range s.doubts {
		if round := open.asked[observer].round; round > after && round <= upTo {
			return true
		}
	}
	return false
}

// request tells that there are new Requests.
func (m *Matrix) request() {
	select {
	case m.requests <- struct{}{}:
	default:
	}
}

// Requested tells when there are new Requests.
func (m *Matrix) Requested() <-chan struct{} {
	return m.requests
}

// Requests returns what each observer that disagrees with another is to look at
// again, and has not yet. What is too much for one request follows when that is answered.
func (m *Matrix) Requests() map[string]v1alpha1.Recheck {
	m.mu.Lock()
	defer m.mu.Unlock()
	questions := make(map[string][]unanswered)
	for _, app := range m.apps {
		for address, doubt := range app.doubts {
			for observer, question := range doubt.asked {
				if entry := m.reports[observer]; entry != nil && entry.RecheckRound < question.round {
					questions[observer] = append(questions[observer],
						unanswered{question.round, uint16(app.Service.NodePort), address})
				}
			}
		}
	}
	m.postponed = false
	requests := make(map[string]v1alpha1.Recheck, len(questions))
	for observer, all := range questions {
		asked := firstAsked(all)
		m.postponed = m.postponed || len(asked) < len(all)
		requests[observer] = requestOf(asked)
	}
	return requests
}

// firstAsked returns the questions that come first, and are few enough. An answer to the
// last of them is one to all before it, and to none after.
func firstAsked(questions []unanswered) []unanswered {
	slices.SortFunc(questions, func(a, b unanswered) int { return cmp.Compare(a.round, b.round) })
	nodePorts := make(map[uint16]bool)
	for i := range questions {
		nodePorts[questions[i].nodePort] = true
		if len(nodePorts) > askedAtOnce {
			return questions[:i]
		}
	}
	return questions
}

// requestOf returns the request that asks some questions, by ascending round.
func requestOf(questions []unanswered) v1alpha1.Recheck {
	nodePorts, addresses := make([]uint16, 0, len(questions)), make(map[netip.Addr]bool)
	for i := range questions {
		nodePorts = append(nodePorts, questions[i].nodePort)
		addresses[questions[i].address] = true
	}
	return protocol.Recheck{
		Round:     questions[len(questions)-1].round,
		Ports:     nodeport.Of(nodePorts...),
		Addresses: slices.SortedFunc(maps.Keys(addresses), netip.Addr.Compare),
	}.Encode()
}
