package reachability

import (
	"time"

	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/reachability/results"
)

// maxRanges is how many ranges of node ports there may be in a consensus. There is
// one for each of thousands of addresses, and where the ports are so scattered it would
// take more memory than it saves time.
const maxRanges = 128

// Consensus is what all observers of a site report alike, but for the node's own, whose
// report is no proof. Thousands of apps are judged on thousands of nodes, and nearly all of
// them by nothing else.
type Consensus struct {
	// Observers is how many they are.
	Observers int

	node string
	// reached, failed and translated are the node ports of which all report that, and
	// disputed those that some do not reach.
	reached, failed, translated, disputed nodeport.Set
	// version is the oldest that any of them covers, and pace that of the slowest.
	version results.Version
	pace    time.Duration
}

// Consensus returns what the observers of a node at the site report alike.
func (s *Site) Consensus(node string) *Consensus {
	c := s.consensus.Load()
	if c == nil || c.node != node {
		c = s.agree(node)
		s.consensus.Store(c)
	}
	return c
}

// Reached reports whether all observers reach an app.
func (c *Consensus) Reached(app *AppState) bool { return c.contains(c.reached, app) }

// Failed reports whether none does.
func (c *Consensus) Failed(app *AppState) bool { return c.contains(c.failed, app) }

// Disputed reports whether some do not.
func (c *Consensus) Disputed(app *AppState) bool { return c.contains(c.disputed, app) }

// Translated reports whether the dials of all are translated.
func (c *Consensus) Translated(app *AppState) bool { return c.contains(c.translated, app) }

func (c *Consensus) contains(nodePorts nodeport.Set, app *AppState) bool {
	return nodePorts.Contains(app.NodePort()) && c.version.Covers(app.since)
}

// RoundTime returns the time by which each of them has probed an app of that period and
// reported it.
func (c *Consensus) RoundTime(period time.Duration) time.Duration {
	return max(period, c.pace) + roundSlack
}

func (s *Site) agree(node string) *Consensus {
	agreed := &Consensus{node: node}
	for i := range s.Inside {
		sight := &s.Inside[i]
		if !sight.Counts() || sight.Name == node || sight.Owns(s.Address) {
			continue
		}
		if sight.Version == (results.Version{}) {
			return &Consensus{node: node}
		}
		outcomes := sight.at.Outcomes()
		if agreed.Observers == 0 {
			agreed.reached, agreed.failed, agreed.translated = outcomes.Reached, outcomes.Failed, outcomes.Translated
			agreed.version = sight.Version
		}
		if sight.Version.Compare(agreed.version) < 0 {
			agreed.version = sight.Version
		}
		agreed.reached, agreed.failed = agreed.reached.Intersect(outcomes.Reached), agreed.failed.Intersect(outcomes.Failed)
		agreed.translated = agreed.translated.Intersect(outcomes.Translated)
		agreed.disputed = agreed.disputed.Union(outcomes.Failed)
		agreed.pace = max(agreed.pace, sight.pace)
		agreed.Observers++
	}
	agreed.disputed = capRanges(agreed.disputed.Minus(agreed.failed))
	agreed.reached, agreed.failed = capRanges(agreed.reached), capRanges(agreed.failed)
	agreed.translated = capRanges(agreed.translated)
	return agreed
}

// capRanges returns no node ports in place of too many ranges of them.
func capRanges(nodePorts nodeport.Set) nodeport.Set {
	if nodePorts.Ranges() > maxRanges {
		return nodeport.Set{}
	}
	return nodePorts
}
