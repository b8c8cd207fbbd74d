package diagnosis

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// detourTime is how long a remote that was reported may stay unseen until another
// takes its place.
const detourTime = 10 * time.Minute

// Ways are the ways that the kernel takes dials of node ports. A dial of which the way
// was not seen, as one that was refused, counts as taken the same way as the last that
// was: of the same address and port, else of any port of the address, else of any
// address. With none it is unverified.
type Ways struct {
	byAddress map[netip.Addr]probe.Way
	latest    probe.Way

	// dials are their numbers by way.
	dials map[probe.Way]int64
}

// NewWays returns the ways before the first dial.
func NewWays() Ways {
	return Ways{byAddress: map[netip.Addr]probe.Way{}, dials: map[probe.Way]int64{}}
}

// Trace completes the way of a dial. last is that of the last dial of the same address and
// port that was seen, nil if these are not dialled any more. A dial that failed for want
// of something on this side took none.
func (w *Ways) Trace(address netip.Addr, last *probe.Way, result *probe.Result) {
	way := result.Path.Way
	switch {
	case way == probe.Unseen && result.Reason == probe.NotDialled:
		return
	case way == probe.Unseen && last == nil:
		way = w.latest
	case way == probe.Unseen:
		way = w.Expected(address, *last)
	case last != nil:
		*last, w.byAddress[address], w.latest = way, way, way
	}
	if way == probe.Unseen {
		way = probe.Unverified
	}
	result.Path.Way = way
	w.dials[way]++
}

// Expected returns the way that a dial of an address takes by all that is known. last is
// as for Trace.
func (w *Ways) Expected(address netip.Addr, last probe.Way) probe.Way {
	if last != probe.Unseen {
		return last
	}
	if way, ok := w.byAddress[address]; ok {
		return way
	}
	return w.latest
}

// Keep forgets all addresses but those given.
func (w *Ways) Keep(addresses []netip.Addr) {
	maps.DeleteFunc(w.byAddress, func(address netip.Addr, _ probe.Way) bool {
		return !slices.Contains(addresses, address)
	})
}

// Forget forgets all ways.
func (w *Ways) Forget() {
	clear(w.byAddress)
	w.latest = probe.Unseen
}

// Dials returns the numbers of dials by way.
func (w *Ways) Dials() []v1alpha1.DialCount {
	var counts []v1alpha1.DialCount
	for _, way := range []struct {
		way  probe.Way
		path v1alpha1.DialPath
	}{
		{probe.Direct, v1alpha1.DialDirect},
		{probe.Translated, v1alpha1.DialTranslated},
		{probe.Unverified, v1alpha1.DialUnverified},
	} {
		if count := w.dials[way.way]; count > 0 {
			counts = append(counts, v1alpha1.DialCount{Path: way.path, Count: count})
		}
	}
	return counts
}

// Detour is where translated dials of an address and port end. A load balancer spreads
// them over the pods of an app, so what is reported is one that was seen, and stays the
// same while nothing changes.
type Detour struct {
	To netip.AddrPort
	// chosen is when it was taken for the report, and seen when a dial ended there
	// last.
	chosen, seen time.Duration
}

// See takes note that a dial ended at to, and returns the detour to report, nil if none is
// known. That is another one only if the endpoints have changed, at changed, or d has not
// been seen for long.
func (d *Detour) See(now time.Duration, to netip.AddrPort, changed time.Duration) *Detour {
	switch {
	case !to.IsValid():
	case d != nil && d.To == to:
		d.seen = now
	case d == nil || d.chosen <= changed && changed > 0 || now-d.seen >= detourTime:
		return &Detour{To: to, chosen: now, seen: now}
	}
	return d
}
