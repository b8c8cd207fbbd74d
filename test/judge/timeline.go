package judge

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const (
	// frozen is how long no dial takes unless its source was stopped meanwhile.
	frozen = 4 * time.Second

	// gap is how far apart two dials may be for one to follow the other.
	gap = 4 * time.Second
)

// span is a row for as long as a status said it.
type span struct {
	Row
	node     string
	port     int32
	from, to time.Time
}

// row returns what a status said of a node.
func (s *Status) row(node string) Row {
	if row, found := s.Rows[node]; found {
		return row
	}
	return Row{Says: Gone}
}

// spans returns what the statuses said of a node, one after the other, between
// two moments.
func spans(node string, statuses []Status, from, to time.Time) []span {
	var found []span
	for i := range statuses {
		next := span{statuses[i].row(node), node, statuses[i].Port, latest(statuses[i].At, from), to}
		if i+1 < len(statuses) {
			next.to = earliest(statuses[i+1].At, to)
		}
		if !next.from.Before(next.to) {
			continue
		}
		if last := len(found) - 1; last >= 0 && found[last].Row == next.Row && found[last].port == next.port {
			found[last].to = next.to
			continue
		}
		found = append(found, next)
	}
	return found
}

// line is a source's dials of one port on one node.
type line struct {
	source, node string
	port         int32
}

// stretch is a run of dials on a line that all succeeded, or all failed.
type stretch struct {
	line
	answers bool
	// first and last are the starts of the first dial and of the last.
	first, last time.Time
	// from and to are the moments between which it certainly was so.
	from, to time.Time
}

// lines sorts the dials by line and by start, without those that tell nothing.
func lines(dials []Dial, deaf []string) map[line][]Dial {
	sorted := make(map[line][]Dial)
	for _, dial := range dials {
		if dial.End.Sub(dial.Start) > frozen || slices.Contains(deaf, dial.Source) {
			continue
		}
		key := line{dial.Source, dial.Node, dial.Port}
		sorted[key] = append(sorted[key], dial)
	}
	for key := range sorted {
		slices.SortFunc(sorted[key], func(a, b Dial) int { return a.Start.Compare(b.Start) })
	}
	return sorted
}

// stretches cuts the dials into stretches, in the order of lines and time.
func stretches(dials []Dial, deaf []string) []stretch {
	sorted := lines(dials, deaf)
	keys := slices.SortedFunc(maps.Keys(sorted), func(a, b line) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.node, b.node), cmp.Compare(a.port, b.port))
	})
	var found []stretch
	for _, key := range keys {
		for _, dial := range sorted[key] {
			last := len(found) - 1
			if last < 0 || found[last].line != key || found[last].answers != dial.Answered ||
				dial.Start.Sub(found[last].last) > gap {
				found = append(found, stretch{line: key, answers: dial.Answered, first: dial.Start, from: dial.moment()})
				last++
			}
			found[last].last = dial.Start
			found[last].to = latest(found[last].to, dial.moment())
		}
	}
	return found
}

// moment is when a dial certainly had the answer, or certainly had none.
func (d *Dial) moment() time.Time {
	if d.Answered {
		return d.End
	}
	return d.Start
}

// on returns the stretches of a node and a port, or of every port if it is 0.
func on(heard []stretch, node string, port int32) []stretch {
	var found []stretch
	for _, s := range heard {
		if s.node == node && (s.port == port || port == 0) {
			found = append(found, s)
		}
	}
	return found
}

// firstFailure returns the start of the first dial between two moments that
// failed.
func firstFailure(heard []stretch, from, to time.Time) (first time.Time) {
	for _, s := range heard {
		at := latest(s.first, from)
		if s.answers || s.last.Before(from) || !at.Before(to) {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// answersSince returns when the last source that dialled between two moments
// began to have nothing but answers, or nothing if one of them had none in the
// end.
func answersSince(heard []stretch, from, to time.Time) (since time.Time) {
	final := make(map[line]stretch)
	for _, s := range heard {
		if s.first.Before(to) && !s.last.Before(from) {
			final[s.line] = s
		}
	}
	for _, s := range final {
		if !s.answers {
			return time.Time{}
		}
		since = latest(since, latest(s.first, from))
	}
	return since
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
