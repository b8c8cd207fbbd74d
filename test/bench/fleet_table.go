package main

import (
	"iter"
	"math/bits"
	"time"
)

// portCount is the size of the default range of node ports.
const portCount = 2768

// portBits is a set of node ports, each by its slot, the distance to the first of
// the range.
type portBits [(portCount + 63) / 64]uint64

func slotOf(port uint16) (slot int, ok bool) {
	slot = int(port) - firstNodePort
	return slot, slot >= 0 && slot < portCount
}

func portOf(slot int) uint16 { return uint16(firstNodePort + slot) }

func (b *portBits) has(slot int) bool { return b[slot/64]>>(slot%64)&1 == 1 }

func (b *portBits) set(slot int, to bool) {
	if to {
		b[slot/64] |= 1 << (slot % 64)
	} else {
		b[slot/64] &^= 1 << (slot % 64)
	}
}

func (b portBits) len() int {
	n := 0
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

// minus returns what of b is in none of others.
func (b portBits) minus(others ...*portBits) portBits {
	for _, other := range others {
		for i := range b {
			b[i] &^= other[i]
		}
	}
	return b
}

func (b portBits) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range b {
			for ; word != 0; word &= word - 1 {
				if !yield(i*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// fault is whether something is broken, and how.
type fault struct {
	// broken things refuse connections, or are silent.
	broken, silent bool
	// at is when that changed, and lasted how long it was otherwise before.
	at, lasted time.Duration
}

func (f *fault) turn(now time.Duration, broken, silent bool) {
	if f.broken != broken {
		f.at, f.lasted = now, now-f.at
	}
	f.broken = broken
	if broken {
		f.silent = silent
	}
}

// worse returns what two faults make of a pair. It changed when the later of them
// did.
func (f fault) worse(other fault) fault {
	if other.broken && !f.broken || other.broken == f.broken && other.at > f.at {
		f, other = other, f
	}
	if other.at > f.at {
		f.at, f.lasted = other.at, other.lasted
	}
	return f
}

// siteNode is what the fleet knows of a node: whether its node ports answer.
type siteNode struct {
	name string
	fault
	// dead is whether the agent on it does not run.
	dead bool
	// pairs are the ports that are broken on this node, by faults of their own.
	pairs      portBits
	pairFaults map[int]*fault
}

// breaks is the table of what is broken. Nearly everything is not, so it holds
// nodes, ports, and single pairs of both.
type breaks struct {
	nodes map[string]*siteNode
	apps  [portCount]fault
	// down are the apps that are broken, and services the ports that are served.
	down, services portBits
}

func newBreaks() *breaks {
	return &breaks{nodes: make(map[string]*siteNode)}
}

func (b *breaks) node(name string) *siteNode {
	n := b.nodes[name]
	if n == nil {
		n = &siteNode{name: name, pairFaults: make(map[int]*fault)}
		b.nodes[name] = n
	}
	return n
}

// Break directs a fleet to break, or to mend, ports on nodes: those that are
// named, or all where none is.
type Break struct {
	Nodes []string
	Ports []uint16
	// Broken is what they are to be, Silent whether they drop what comes rather
	// than refuse it, and Dead whether the nodes' agents are gone as well.
	Broken, Silent, Dead bool
}

func (b *breaks) apply(now time.Duration, direction Break) {
	for _, name := range direction.Nodes {
		n := b.node(name)
		n.dead = direction.Dead
		if len(direction.Ports) == 0 {
			n.turn(now, direction.Broken, direction.Silent)
		}
		for _, port := range direction.Ports {
			if slot, ok := slotOf(port); ok {
				if n.pairFaults[slot] == nil {
					n.pairFaults[slot] = &fault{}
				}
				n.pairFaults[slot].turn(now, direction.Broken, direction.Silent)
				n.pairs.set(slot, direction.Broken)
			}
		}
	}
	if len(direction.Nodes) > 0 {
		return
	}
	for _, port := range direction.Ports {
		if slot, ok := slotOf(port); ok {
			b.apps[slot].turn(now, direction.Broken, direction.Silent)
			b.down.set(slot, direction.Broken)
		}
	}
}

// broken returns the ports that are served and broken on a node.
func (b *breaks) broken(n *siteNode) portBits {
	if n.broken {
		return b.services
	}
	broken := b.services
	for i := range broken {
		broken[i] &= b.down[i] | n.pairs[i]
	}
	return broken
}

// at returns what is wrong with a port on a node, or was last.
func (b *breaks) at(n *siteNode, slot int) fault {
	worst := n.worse(b.apps[slot])
	if len(n.pairFaults) > 0 && n.pairFaults[slot] != nil {
		worst = worst.worse(*n.pairFaults[slot])
	}
	return worst
}
