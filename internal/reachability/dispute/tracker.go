package dispute

import (
	"maps"
	"time"

	"github.com/exposedapp/exposedapp/internal/nodeport"
)

// Tracker counts what is remembered of all apps, and numbers the questions. It is not safe
// for concurrent use.
type Tracker struct {
	bounds Bounds
	// round is the last one given to a question, and asked tells that there are new ones.
	round int64
	asked chan struct{}
}

// NewTracker returns a Tracker of nothing.
func NewTracker() *Tracker {
	return &Tracker{asked: make(chan struct{}, 1)}
}

// Asked tells when there are new questions.
func (t *Tracker) Asked() <-chan struct{} { return t.asked }

// Remind has that told once more.
func (t *Tracker) Remind() {
	select {
	case t.asked <- struct{}{}:
	default:
	}
}

// Bounds returns the counts as they are now.
func (t *Tracker) Bounds() Bounds { return t.bounds }

// Commit takes note of a Change of what is remembered of the app on a node port, and gives
// rounds to its questions. floor returns the last round that an observer ever heard of: an
// earlier operator, whose clock may be ahead, may have asked.
func (t *Tracker) Commit(nodePort uint16, change Change, floor func(observer string) int64, now time.Time) {
	if after := change.After; after != nil && after.Dispute != nil {
		after.Dispute.number(func(observer string) int64 {
			t.round = max(t.round+1, now.UnixMilli(), floor(observer)+1)
			t.Remind()
			return t.round
		})
	}
	t.bounds = t.bounds.With(nodePort, change)
}

// Address is what is disputed at one address.
type Address struct {
	// Apps is on how many apps there is a Dispute.
	Apps int
	// confirmed are the node ports of those on which an observer looked again, by its name.
	confirmed map[string]nodeport.Set
}

// Confirmed returns the node ports of the apps in dispute which an observer looked at again.
func (a Address) Confirmed(observer string) nodeport.Set { return a.confirmed[observer] }

// follow returns what is disputed once the Dispute on a node port went from one to another.
func (a Address) follow(nodePort uint16, before, after *Dispute) Address {
	next := Address{Apps: a.Apps + count(after != nil) - count(before != nil), confirmed: make(map[string]nodeport.Set, len(a.confirmed))}
	maps.Copy(next.confirmed, a.confirmed)
	port := nodeport.Of(nodePort)
	for observer := range before.observers() {
		next.confirmed[observer] = next.confirmed[observer].Minus(port)
	}
	for observer := range after.observers() {
		if after.Confirmed(observer) {
			next.confirmed[observer] = next.confirmed[observer].Union(port)
		}
	}
	maps.DeleteFunc(next.confirmed, func(_ string, ports nodeport.Set) bool { return ports.IsEmpty() })
	return next
}
