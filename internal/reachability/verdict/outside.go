package verdict

import (
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/internal/reachability/diagnosis"
)

// outside is what observers outside of the cluster report of one app on one node. It is kept
// apart from what those in the cluster report: it takes part in none of their disputes.
type outside struct {
	reached []string
	failed  []failure
	// isolated are those of the rest that reach no node at all, on any node port: they may
	// have lost their network, or the cluster its own, and nobody can tell which.
	isolated []failure
	// roundTime is the time by which every result is newer than a change.
	roundTime time.Duration
	// persists is set where those that did not reach the node looked again after those in
	// the cluster did, or began to fail just before.
	persists bool
	// undecided is set where they did not: they may be the first to notice that the node no
	// longer answers, or the last that it does again.
	undecided bool
	// standsIn is set where they stand in for the observers in the cluster, of which there
	// are none.
	standsIn bool
}

// failures are all that did not reach the node.
func (f *outside) failures() []failure { return slices.Concat(f.failed, f.isolated) }

// fraction returns how many observers reach the node, of how many with a result on it.
func (f *outside) fraction() string {
	return fraction(len(f.reached), len(f.reached)+len(f.failed))
}

func diagnosed(failures []failure) []diagnosis.Failure {
	all := make([]diagnosis.Failure, 0, len(failures))
	for i := range failures {
		all = append(all, failures[i].Failure)
	}
	return all
}
