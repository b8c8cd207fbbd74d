package nodereachability

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Observers is how many other nodes dial each node. A cluster of up to
// Observers+1 nodes is a full mesh.
const Observers = 8

// Ring returns, for every node, the nodes that it dials: the Observers nodes
// that follow it on the ring, the next one first. The same names always give the
// same ring. Every node has exactly Observers observers, and one node's coming or
// going changes at most Observers+1 lists.
func Ring(names []string) map[string][]string {
	ring := inOrder(names)
	dials := make(map[string][]string, len(ring))
	for i, from := range ring {
		next := make([]string, 0, Observers)
		for step := 1; step <= Observers && step < len(ring); step++ {
			next = append(next, ring[(i+step)%len(ring)])
		}
		dials[from] = next
	}
	return dials
}

// inOrder returns names in the order of the ring: by a hash of the name.
func inOrder(names []string) []string {
	type position struct {
		hash uint64
		name string
	}
	ring := make([]position, 0, len(names))
	for _, name := range names {
		ring = append(ring, position{hash: spread(name), name: name})
	}
	slices.SortFunc(ring, func(a, b position) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.name, b.name))
	})
	ordered := make([]string, 0, len(ring))
	for _, at := range ring {
		ordered = append(ordered, at.name)
	}
	return ordered
}

// spread hashes a name so that neighbours by name, which often share a rack or
// a zone, are not neighbours on the ring.
func spread(name string) uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	// FNV's high bits differ little between names that differ in their last
	// letter; a multiplication carries the low bits up.
	return hash.Sum64() * 0x9e3779b97f4a7c15
}
