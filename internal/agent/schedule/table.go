package schedule

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/internal/agent/diagnosis"
	"github.com/exposedapp/exposedapp/internal/agent/selfcheck"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// table holds all pairs.
type table struct {
	// addresses are ascending, and own are those of the node itself.
	addresses, own []netip.Addr

	rows      map[uint16]*row
	ports     map[types.NamespacedName]uint16
	endpoints service.Sets
}

// pair returns the pair of target, nil if there is none.
func (t *table) pair(target netip.AddrPort) *pair {
	r, ok := t.rows[target.Port()]
	if !ok {
		return nil
	}
	i, ok := slices.BinarySearchFunc(t.addresses, target.Addr(), netip.Addr.Compare)
	if !ok {
		return nil
	}
	return &r.pairs[i]
}

// serviceOn returns the Service of a port, nil if there is none.
func (t *table) serviceOn(port uint16) *service.Service {
	if r, ok := t.rows[port]; ok {
		return &r.service
	}
	return nil
}

// all returns all pairs.
func (t *table) all() iter.Seq[*pair] {
	return func(yield func(*pair) bool) {
		for _, r := range t.rows {
			for i := range r.pairs {
				if !yield(&r.pairs[i]) {
					return
				}
			}
		}
	}
}

// foreign reports whether address is another node's. What the node itself answers
// never leaves it, and so proves nothing.
func (t *table) foreign(address netip.Addr) bool {
	return !slices.Contains(t.own, address)
}

// reachedElsewhere returns the pairs of other nodes in a row that are reached.
func (t *table) reachedElsewhere(r *row) []*pair {
	return r.where(func(p *pair) bool { return p.state == reached && t.foreign(p.address) })
}

// podless reports whether no pod could answer a pair. A failure is not urgent then, and
// all observers find it at once.
func (t *table) podless(p *pair) bool {
	return t.endpoints != nil && !t.endpoints.Ready(p.row.service.Key, p.address.Is6()).IsValid()
}

// known returns what an answer on address says: ownHost if that is this host's own,
// whichever node claims it, and translated if the kernel took the dial elsewhere. Then a
// dial says nothing about the pair, however it ended.
func (t *table) known(address netip.Addr, path probe.Path) state {
	switch {
	case path.Own && t.foreign(address):
		return ownHost
	case path.Way == probe.Translated && !path.Proven:
		return translated
	}
	return reached
}

// paths returns those that explain a failure of p.
func (t *table) paths(p *pair) diagnosis.Paths {
	return diagnosis.PathsOf(p.address, p.row.service.Port, t.own)
}

// explains reports whether a failing pair has use for a path.
func (t *table) explains(path diagnosis.Path) bool {
	for p := range t.all() {
		if p.state == failing && p.diagnosing && (path.ToHealth() || p.row.service.Port == path.Port) &&
			t.paths(p)[path.Kind] == path {
			return true
		}
	}
	return false
}

// PairOf returns what a self-check knows of the pair of target, false if there is none.
func (t *table) PairOf(now time.Duration, target netip.AddrPort) (selfcheck.Pair, bool) {
	p := t.pair(target)
	if p == nil {
		return selfcheck.Pair{}, false
	}
	return p.view(now), true
}

// Others returns what a self-check knows of all pairs of other nodes.
func (t *table) Others(now time.Duration) iter.Seq[selfcheck.Pair] {
	return func(yield func(selfcheck.Pair) bool) {
		for p := range t.all() {
			if t.foreign(p.address) && !yield(p.view(now)) {
				return
			}
		}
	}
}

func (p *pair) view(now time.Duration) selfcheck.Pair {
	return selfcheck.Pair{
		Target: p.target(), Reached: p.state == reached, Failing: p.state == failing, Silent: p.silent(now),
	}
}
