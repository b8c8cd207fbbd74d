// Package nodeport holds sets of node ports in the form in which reports carry
// them: ascending ranges, such as 30000-30010,31000.
//
// A set takes four bytes per range, so that one whose ports are contiguous costs
// next to nothing, and the worst set of the default node port range costs less
// than six kilobytes.
package nodeport

import (
	"iter"
	"slices"
	"strconv"
)

// Set is an immutable set of ports from 1 to 65535. The zero Set is empty. Sets
// may share memory and be read by any number of goroutines.
type Set struct {
	// spans are ascending, and between two of them there is a gap.
	spans []span
}

// span is the ports from first to last, both included.
type span struct {
	first, last uint16
}

// Of returns the set of ports, which may come in any order and more than once.
// Port 0 is no port and is left out.
func Of(ports ...uint16) Set {
	if !slices.IsSorted(ports) {
		ports = slices.Sorted(slices.Values(ports))
	}
	var spans []span
	for _, port := range ports {
		if port != 0 {
			spans = join(spans, span{port, port})
		}
	}
	return Set{spans}
}

// join appends sp, which begins no earlier than the last of spans, to spans, and
// merges the two where they touch.
func join(spans []span, sp span) []span {
	if n := len(spans); n > 0 && int(spans[n-1].last)+1 >= int(sp.first) {
		spans[n-1].last = max(spans[n-1].last, sp.last)
		return spans
	}
	return append(spans, sp)
}

// IsEmpty reports whether the set has no ports.
func (s Set) IsEmpty() bool {
	return len(s.spans) == 0
}

// Len returns the number of ports.
func (s Set) Len() int {
	n := 0
	for _, sp := range s.spans {
		n += int(sp.last) - int(sp.first) + 1
	}
	return n
}

// Ranges returns the number of ranges, of which each takes four bytes.
func (s Set) Ranges() int {
	return len(s.spans)
}

// Equal reports whether s and o have the same ports.
func (s Set) Equal(o Set) bool {
	return slices.Equal(s.spans, o.spans)
}

// Contains reports whether port is in the set.
func (s Set) Contains(port uint16) bool {
	low, high := 0, len(s.spans)
	for low < high {
		if middle := (low + high) / 2; s.spans[middle].last < port {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low < len(s.spans) && s.spans[low].first <= port
}

// All yields the ports in ascending order.
func (s Set) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for _, sp := range s.spans {
			for port := int(sp.first); port <= int(sp.last); port++ {
				if !yield(uint16(port)) {
					return
				}
			}
		}
	}
}

// String returns the set as ascending ranges, such as 30000-30010,31000. The
// empty set is the empty string.
func (s Set) String() string {
	text := make([]byte, 0, len("30000-30000,")*len(s.spans))
	for i, sp := range s.spans {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendUint(text, uint64(sp.first), 10)
		if sp.last > sp.first {
			text = append(text, '-')
			text = strconv.AppendUint(text, uint64(sp.last), 10)
		}
	}
	return string(text)
}
