package dispute

import (
	"maps"
	"net/netip"
	"time"
)

// Record is what is remembered of one app at one address from one evaluation to the next.
// It is immutable; nil is a Record of nothing.
type Record struct {
	// Dispute is the disagreement of observers, nil where there is none.
	Dispute *Dispute
	// FailingSince is since when observers fail, by name.
	FailingSince map[string]time.Time
	// Contested is set where observers outside of the cluster do not reach the address and
	// those in it do, and ContestedSince is since when.
	Contested      bool
	ContestedSince time.Time
	// RecoveredAt is when all in the cluster last began to reach the address again, where
	// observers outside of it dial it as well.
	RecoveredAt time.Time
}

// Change is what an evaluation makes of a Record.
type Change struct {
	Address       netip.Addr
	Before, After *Record
}

// Dated returns at how many addresses more it is known since when the app fails: 1, 0 or -1.
func (c Change) Dated() int {
	return count(c.After.orEmpty().FailingSince != nil) - count(c.Before.orEmpty().FailingSince != nil)
}

// Disputed reports whether there was a Dispute, or is one now.
func (c Change) Disputed() bool {
	return c.Before.orEmpty().Dispute != nil || c.After.orEmpty().Dispute != nil
}

// Draft is a Record that an evaluation works on.
type Draft struct {
	Record

	before *Record
}

// Edit returns a Draft of what is remembered.
func (r *Record) Edit() Draft {
	draft := Draft{before: r}
	if r != nil {
		draft.Record = *r
		draft.Dispute = r.Dispute.clone()
	}
	return draft
}

// Result returns the Record that the Draft makes: the one before where nothing changed, and
// nil where there is nothing to remember.
func (d *Draft) Result() *Record {
	switch {
	case d.Dispute == nil && d.FailingSince == nil && !d.Contested && d.RecoveredAt.IsZero():
		return nil
	case d.before != nil && !d.changed():
		return d.before
	}
	record := d.Record
	return &record
}

func (d *Draft) changed() bool {
	return (d.Dispute == nil) != (d.before.Dispute == nil) || d.Dispute != nil && d.Dispute.changed ||
		d.Contested != d.before.Contested || !d.ContestedSince.Equal(d.before.ContestedSince) ||
		!d.RecoveredAt.Equal(d.before.RecoveredAt) || !maps.Equal(d.FailingSince, d.before.FailingSince)
}
