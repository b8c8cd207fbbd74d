package verdict

import (
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability"
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

// hearOutside gathers what is reported from outside of the cluster.
func (e *evaluation) hearOutside(o *observations) {
	for i := range o.site.Outside {
		sight := &o.site.Outside[i]
		outcome, exception := sight.Outcome(e.app)
		switch {
		case sight.Stale:
			continue
		case outcome == protocol.Reached:
			o.outside.reached = append(o.outside.reached, sight.Name)
		case outcome == protocol.Failed && !e.reachesAny(sight.Observer):
			o.outside.isolated = append(o.outside.isolated, failureOf(sight, exception))
		case outcome == protocol.Failed:
			o.outside.failed = append(o.outside.failed, failureOf(sight, exception))
		default:
			continue
		}
		o.outside.roundTime = max(o.outside.roundTime, sight.RoundTime(e.app.Period))
	}
}

// reachesAny reports whether an observer reaches any app on any node.
func (e *evaluation) reachesAny(observer *reachability.Observer) bool {
	for _, address := range observer.Addresses {
		if e.reaches(observer, address) {
			return true
		}
	}
	return false
}

// failures are all that did not reach the node.
func (f *outside) failures() []failure { return slices.Concat(f.failed, f.isolated) }

// letOutsideStandIn has observers outside stand in for those inside where there are none.
// Where there is nothing that should answer, or could, they hold nothing against a node.
func (o *observations) letOutsideStandIn() {
	inside := o.reachedBy+o.failedBy > 0
	if o.notExpected != "" || o.podless && inside {
		o.outside.failed = nil
	}
	if inside || len(o.outside.reached)+len(o.outside.failed) == 0 {
		return
	}
	o.reached, o.failed = append(o.reached, o.outside.reached...), append(o.failed, o.outside.failed...)
	o.reachedBy, o.failedBy = len(o.reached), len(o.failed)
	o.roundTime = max(o.roundTime, o.outside.roundTime)
	o.outside.failed, o.outside.standsIn = nil, true
}

// fraction returns how many observers reach the node, of how many with a result on it.
func (f *outside) fraction() string {
	return fraction(len(f.reached), len(f.reached)+len(f.failed))
}

func observers(failures []failure) []string {
	names := make([]string, 0, len(failures))
	for i := range failures {
		names = append(names, failures[i].Observer)
	}
	return names
}

func diagnosed(failures []failure) []diagnosis.Failure {
	all := make([]diagnosis.Failure, 0, len(failures))
	for i := range failures {
		all = append(all, failures[i].Failure)
	}
	return all
}
