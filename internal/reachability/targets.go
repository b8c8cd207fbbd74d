package reachability

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// pair is the sites of a node, IPv4 and IPv6. Either may be nil.
type pair [2]*Site

// targets are the sites of all nodes, in the order of the nodes. An app is judged on
// thousands of nodes, and to look each of them up took half of the time.
type targets struct {
	pairs []pair
	// shared is whether a Snapshot has the pairs, which stay as they are then.
	shared bool
	// slots are where in pairs the site of an address is.
	slots map[netip.Addr][]slot
}

type slot struct {
	node   int32
	family uint8
}

func newTargets(nodes []Node) targets {
	t := targets{pairs: make([]pair, len(nodes)), slots: make(map[netip.Addr][]slot, len(nodes))}
	for i := range nodes {
		for family, address := range nodes[i].Addresses {
			t.slots[address] = append(t.slots[address], slot{int32(i), index(family)})
		}
	}
	return t
}

func index(family corev1.IPFamily) uint8 {
	if family == corev1.IPv6Protocol {
		return 1
	}
	return 0
}

func (t *targets) set(address netip.Addr, site *Site) {
	slots := t.slots[address]
	if len(slots) == 0 {
		return
	}
	if t.shared {
		t.pairs, t.shared = slices.Clone(t.pairs), false
	}
	for _, slot := range slots {
		t.pairs[slot.node][slot.family] = site
	}
}

// at returns the site of an address, nil where it is not of a node.
func (t *targets) at(address netip.Addr) *Site {
	slots := t.slots[address]
	if len(slots) == 0 {
		return nil
	}
	return t.pairs[slots[0].node][slots[0].family]
}

// share returns the targets as they are, which stay so.
func (t *targets) share() targets {
	t.shared = true
	return *t
}

func newSite(address netip.Addr) *Site {
	text := address.String()
	return &Site{Address: address, Text: text, Owner: text}
}
