package reachability

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
)

const (
	// patience is how long observers that are asked to look again may take: a
	// timeout of the default length, and the ways there and back.
	patience = 3 * time.Second

	// promptHeartbeat is the longest heartbeat at which observers are asked to
	// look again. It is that of small clusters; on larger ones the next probes
	// in turn must do.
	promptHeartbeat = 10 * time.Second

	// cycleSlack is what a full turn of probes may take beyond its period: a
	// timeout, its confirmation and the report.
	cycleSlack = 10 * time.Second
)

// doubt is a disagreement of observers on one address. Words spoken before it
// began may be older than what they contradict, so each observer with a word is
// asked to look again.
type doubt struct {
	began time.Time
	// rounds are those of the requests, by observer. 0 stands for a word that
	// was already known to be newer than the doubt.
	rounds map[string]int64
}

// disagree opens a doubt, or keeps the one that is open, between the observers
// that have a word on an address.
func (m *Matrix) disagree(app *subject, address netip.Addr, observers []string, now time.Time) doubt {
	open, found := app.doubts[address]
	if !found {
		open = doubt{began: now, rounds: make(map[string]int64, len(observers))}
		if app.doubts == nil {
			app.doubts = make(map[netip.Addr]doubt)
		}
		app.doubts[address] = open
	}
	for _, observer := range observers {
		if _, asked := open.rounds[observer]; asked {
			continue
		}
		entry := m.reports[observer]
		if !app.judged && entry.recheckRound >= entry.round && entry.asked.covers(address, app.Service.NodePort) {
			// An earlier operator asked already.
			open.rounds[observer] = 0
			m.epoch++
			continue
		}
		m.round = max(m.round+1, now.UnixMilli())
		open.rounds[observer] = m.round
		select {
		case m.requests <- struct{}{}:
		default:
		}
	}
	return open
}

// confirmed tells whether an observer's word is newer than the doubt: because it
// looked again, or renewed its report after a full turn of probes.
func (m *Matrix) confirmed(app *subject, open doubt, observer string) bool {
	round, asked := open.rounds[observer]
	entry := m.reports[observer]
	return asked && (entry.recheckRound >= round || entry.received.After(open.began.Add(app.cycle(entry))))
}

// cycle is the time in which every pair of an observer was probed and its word
// written.
func (s *subject) cycle(e *entry) time.Duration {
	stretch := max(1, e.heartbeat.Seconds()/promptHeartbeat.Seconds())
	return time.Duration(float64(s.Period)*stretch) + cycleSlack
}

// awaits tells whether an observer answers a request about the app with a round
// after one and up to another.
func (s *subject) awaits(observer string, after, upTo int64) bool {
	if after == upTo {
		return false
	}
	for _, open := range s.doubts {
		if round, asked := open.rounds[observer]; asked && round > after && round <= upTo {
			return true
		}
	}
	return false
}

// Requested tells when there are new Requests.
func (m *Matrix) Requested() <-chan struct{} {
	return m.requests
}

// Requests returns what each observer that disagrees with another is to look at
// again, and has not yet.
func (m *Matrix) Requests() map[string]v1alpha1.Recheck {
	m.mu.Lock()
	defer m.mu.Unlock()
	type pairs struct {
		round     int64
		nodePorts []uint16
		addresses map[netip.Addr]bool
	}
	open := make(map[string]*pairs)
	for _, app := range m.apps {
		for address, doubt := range app.doubts {
			for observer, round := range doubt.rounds {
				entry := m.reports[observer]
				if entry == nil || entry.recheckRound >= round || entry.heartbeat > promptHeartbeat {
					continue
				}
				if open[observer] == nil {
					open[observer] = &pairs{addresses: make(map[netip.Addr]bool)}
				}
				asked := open[observer]
				asked.round = max(asked.round, round)
				asked.nodePorts = append(asked.nodePorts, uint16(app.Service.NodePort))
				asked.addresses[address] = true
			}
		}
	}
	requests := make(map[string]v1alpha1.Recheck, len(open))
	for observer, asked := range open {
		request := v1alpha1.Recheck{Round: asked.round, NodePorts: nodeport.Of(asked.nodePorts...).String()}
		for _, address := range slices.SortedFunc(maps.Keys(asked.addresses), netip.Addr.Compare) {
			request.Addresses = append(request.Addresses, address.String())
		}
		requests[observer] = request
	}
	return requests
}
