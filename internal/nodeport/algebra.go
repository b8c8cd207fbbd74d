package nodeport

import "slices"

// Union returns the ports that are in s, in o, or in both. Like the others, it
// returns s or o itself where that is at hand.
func (s Set) Union(o Set) Set {
	switch {
	case o.IsEmpty():
		return s
	case s.IsEmpty():
		return o
	}
	return combine(s, o, func(inS, inO bool) bool { return inS || inO })
}

// Intersect returns the ports that are in both s and o.
func (s Set) Intersect(o Set) Set {
	if s.Equal(o) {
		return s
	}
	return combine(s, o, func(inS, inO bool) bool { return inS && inO })
}

// Minus returns the ports of s that are not in o.
func (s Set) Minus(o Set) Set {
	if o.IsEmpty() {
		return s
	}
	return combine(s, o, func(inS, inO bool) bool { return inS && !inO })
}

// Differ returns the ports that are in exactly one of s and o: those whose
// membership changed from one to the other.
func (s Set) Differ(o Set) Set {
	return combine(s, o, func(inS, inO bool) bool { return inS != inO })
}

// combine walks both sets from edge to edge (a port at which either begins or
// has just ended) and keeps the stretches that keep wants. keep(false, false)
// must be false.
func combine(a, b Set, keep func(inA, inB bool) bool) Set {
	var spans []span
	as, bs := a.spans, b.spans
	for from := 0; len(as) > 0 || len(bs) > 0; {
		inA, edgeA := edge(as, from)
		inB, edgeB := edge(bs, from)
		to := min(edgeA, edgeB)
		if to > from && keep(inA, inB) {
			spans = join(spans, span{uint16(from), uint16(to - 1)})
		}
		from = to
		as, bs = behind(as, from), behind(bs, from)
	}
	return Set{spans}
}

// noEdge lies behind every port.
const noEdge = 1 << 16

// edge reports whether port from is in spans, none of which ends before it, and
// at which port that next changes.
func edge(spans []span, from int) (in bool, at int) {
	switch {
	case len(spans) == 0:
		return false, noEdge
	case from < int(spans[0].first):
		return false, int(spans[0].first)
	default:
		return true, int(spans[0].last) + 1
	}
}

// behind drops the first of spans when it ends before port from.
func behind(spans []span, from int) []span {
	if len(spans) > 0 && int(spans[0].last) < from {
		return spans[1:]
	}
	return spans
}

// Fill returns s with every gap closed in which no port of blocked lies. It
// makes the text of a set shorter where only some ports matter: for those in
// blocked, and for those outside the bounds of s, membership stays the same.
func (s Set) Fill(blocked Set) Set {
	blocked = blocked.Minus(s)
	var spans []span
	for _, sp := range s.spans {
		if n := len(spans); n > 0 && !blocked.overlaps(spans[n-1].last, sp.first) {
			spans[n-1].last = sp.last
			continue
		}
		spans = append(spans, sp)
	}
	return Set{spans}
}

// overlaps reports whether any port from first to last is in the set.
func (s Set) overlaps(first, last uint16) bool {
	i, found := slices.BinarySearchFunc(s.spans, first, func(sp span, port uint16) int {
		return int(sp.last) - int(port)
	})
	return found || i < len(s.spans) && s.spans[i].first <= last
}

// Coarsen returns a superset of s of at most n ranges, n at least 1: it closes
// the narrowest gaps.
func (s Set) Coarsen(n int) Set {
	if len(s.spans) <= n {
		return s
	}
	gaps := make([]int, 0, len(s.spans)-1)
	for i := range len(s.spans) - 1 {
		gaps = append(gaps, i)
	}
	slices.SortStableFunc(gaps, func(i, j int) int { return s.gap(i) - s.gap(j) })
	closed := gaps[:len(s.spans)-n]
	slices.Sort(closed)

	var spans []span
	for i, sp := range s.spans {
		if len(closed) > 0 && i > 0 && closed[0] == i-1 {
			closed = closed[1:]
			spans[len(spans)-1].last = sp.last
			continue
		}
		spans = append(spans, sp)
	}
	return Set{spans}
}

// gap returns the distance between span i and the next.
func (s Set) gap(i int) int {
	return int(s.spans[i+1].first) - int(s.spans[i].last)
}
