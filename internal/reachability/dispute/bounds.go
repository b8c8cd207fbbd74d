package dispute

import (
	"iter"
	"maps"
	"net/netip"
)

// Much may fail at once on a cluster of thousands of nodes. These bound what is
// remembered then, and how many observers are asked to look again. What is beyond
// them is told all the same, but not for how long it has failed, nor who is right.
const (
	// maxFailing is at how many addresses it is followed since when one app fails,
	// and maxInAll the same for all apps together, and for Disputes.
	maxFailing = 64
	maxInAll   = 4096

	// maxAddresses is on how many addresses there may be Disputes. Each is asked of all
	// observers of that address.
	maxAddresses = 32
)

// Bounds counts what is remembered of all apps. It is immutable; the zero Bounds counts
// nothing.
type Bounds struct {
	addresses map[netip.Addr]Address
	// disputes is how many there are, and failing at how many addresses of how many apps it
	// is known since when they fail.
	disputes, failing int
}

// At returns what is disputed at an address.
func (b *Bounds) At(address netip.Addr) Address { return b.addresses[address] }

// Addresses yields the addresses on which there are Disputes.
func (b *Bounds) Addresses() iter.Seq[netip.Addr] { return maps.Keys(b.addresses) }

// Disputable reports whether there is room for another Dispute on an address.
func (b *Bounds) Disputable(address netip.Addr) bool {
	return b.disputes < maxInAll && (b.addresses[address].Apps > 0 || len(b.addresses) < maxAddresses)
}

// Datable reports whether there is room for another address of an app at which it is known
// since when it fails, beside those where that is known.
func (b *Bounds) Datable(known int) bool {
	return known < maxFailing && b.failing < maxInAll
}

// With returns the counts after a Change of what is remembered of an app on a node port.
func (b Bounds) With(nodePort uint16, change Change) Bounds {
	b.failing += change.Dated()
	if !change.Disputed() {
		return b
	}
	before, after := change.Before.orEmpty().Dispute, change.After.orEmpty().Dispute
	b.disputes += count(after != nil) - count(before != nil)
	addresses := make(map[netip.Addr]Address, len(b.addresses)+1)
	maps.Copy(addresses, b.addresses)
	next := addresses[change.Address].follow(nodePort, before, after)
	if addresses[change.Address] = next; next.Apps == 0 {
		delete(addresses, change.Address)
	}
	b.addresses = addresses
	return b
}

func (r *Record) orEmpty() *Record {
	if r == nil {
		return &Record{}
	}
	return r
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
