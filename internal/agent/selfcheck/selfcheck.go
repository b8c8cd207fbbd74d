// Package selfcheck answers whether a node that does not answer is in trouble, or this
// one. A node that is cut off would otherwise accuse the others one by one, each at its
// turn, and report as reached those whose turn has not come. Memberlist's Lifeguard
// calls this local health.
package selfcheck

import (
	"iter"
	"net/netip"
	"slices"
	"time"
)

const (
	// SweepSize is how many other pairs a check has probed at most.
	SweepSize = 16

	// limit is how long a check may hold back a report.
	limit = 3 * time.Second

	never = time.Duration(1<<63 - 1)
)

// Check opens at the first sign of trouble with another node, and pairs of other nodes
// are probed out of turn. An answer to a probe that began after that closes it. If none
// comes, the check fails: earlier successes are no longer trusted. But it fails only if
// more than one app fell silent, and more than one address, as far as there are others:
// no app decides what is reported of another.
type Check struct {
	open  bool
	since time.Duration

	// swept is whether other pairs were made due.
	swept bool

	// awaited are the pairs in trouble and those made due. When all of them have
	// failed, the check ends.
	awaited []netip.AddrPort
}

// Pair is what a check knows of a pair of another node.
type Pair struct {
	Target           netip.AddrPort
	Reached, Failing bool

	// Silent is whether it was probed and did not answer in time.
	Silent bool
}

// Pairs are all there are.
type Pairs interface {
	// PairOf returns the pair of target, and false if there is none.
	PairOf(now time.Duration, target netip.AddrPort) (Pair, bool)

	// Others returns all pairs of other nodes.
	Others(now time.Duration) iter.Seq[Pair]
}

// Suspect takes note that target did not answer in time, or failed. It reports whether
// that opens the check.
func (c *Check) Suspect(now time.Duration, target netip.AddrPort) bool {
	opens := !c.open
	if opens {
		*c = Check{open: true, since: now, awaited: c.awaited[:0]}
	}
	c.Await(target)
	return opens
}

// Sweep takes note that other pairs were made due.
func (c *Check) Sweep() {
	c.swept = true
}

// Await has the check wait for the result of a pair.
func (c *Check) Await(target netip.AddrPort) {
	if !slices.Contains(c.awaited, target) {
		c.awaited = append(c.awaited, target)
	}
}

// Open reports whether the check is open.
func (c *Check) Open() bool {
	return c.open
}

// First returns the pair whose trouble opened the check.
func (c *Check) First() netip.AddrPort {
	return c.awaited[0]
}

// Prove takes an answer of another node to a probe that began at started.
func (c *Check) Prove(started time.Duration) {
	if started >= c.since {
		c.open = false
	}
}

// Due returns when Settle has something to do without any result.
func (c *Check) Due() time.Duration {
	if !c.open {
		return never
	}
	return c.since + limit
}

// Settle closes the check if it is time to, and reports whether it failed.
func (c *Check) Settle(now time.Duration, pairs Pairs) bool {
	if !c.open {
		return false
	}
	failed := now >= c.since+limit
	if !failed {
		if !c.swept {
			return false
		}
		for _, target := range c.awaited {
			p, ok := pairs.PairOf(now, target)
			if ok && p.Reached {
				return false
			}
			// A pair that is gone, or could not be dialled, proves nothing.
			failed = failed || ok && p.Failing
		}
	}
	c.open = false
	return failed && c.several(now, pairs)
}

// several reports whether the awaited pairs that do not answer are more than one app's
// and at more than one address, as far as others were reached.
func (c *Check) several(now time.Duration, pairs Pairs) bool {
	var silent netip.AddrPort
	apps, addresses := false, false
	for _, target := range c.awaited {
		if p, ok := pairs.PairOf(now, target); !ok || !p.Silent {
			continue
		}
		if !silent.IsValid() {
			silent = target
		}
		apps = apps || target.Port() != silent.Port()
		addresses = addresses || target.Addr() != silent.Addr()
	}
	if !silent.IsValid() {
		return false
	}
	for p := range pairs.Others(now) {
		if p.Reached && !p.Silent {
			if p.Target.Port() != silent.Port() && !apps || p.Target.Addr() != silent.Addr() && !addresses {
				return false
			}
		}
	}
	return true
}
