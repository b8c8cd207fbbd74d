package reachability

import (
	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability/dispute"
)

// Requested tells when there are new Requests.
func (s *State) Requested() <-chan struct{} { return s.tracker.Asked() }

// Requests returns what each observer that disagrees with another is to look at
// again, and has not yet. What is too much for one request follows when that is answered.
func (s *State) Requests() map[string]v1alpha1.Recheck {
	s.mu.Lock()
	defer s.mu.Unlock()
	questions := make(map[string][]dispute.Question)
	for _, app := range s.apps {
		for address, record := range app.Records {
			for observer, round := range record.Dispute.Rounds() {
				if known := s.observers[observer]; known != nil && known.RecheckRound < round {
					questions[observer] = append(questions[observer],
						dispute.Question{Round: round, NodePort: app.NodePort(), Address: address})
				}
			}
		}
	}
	s.postponed = false
	requests := make(map[string]v1alpha1.Recheck, len(questions))
	for observer, all := range questions {
		request, rest := dispute.Request(all)
		s.postponed = s.postponed || rest
		requests[observer] = request.Encode()
	}
	return requests
}
