package main

import (
	"net/netip"
	"slices"
	"time"
)

// turns are the regular turns of targets: an instant of each, from which on it
// has one every period.
type turns struct {
	period time.Duration
	first  map[netip.AddrPort]time.Time
}

// turnsOf reads the turns off arrivals, of which there should be several for each
// target. It takes the median, which a probe out of turn hardly moves.
func turnsOf(arrivals []arrival, period time.Duration) turns {
	byTarget := make(map[netip.AddrPort][]time.Time)
	for _, a := range arrivals {
		byTarget[a.target] = append(byTarget[a.target], a.at)
	}
	t := turns{period: period, first: make(map[netip.AddrPort]time.Time, len(byTarget))}
	for target, times := range byTarget {
		var offsets []time.Duration
		for _, at := range times {
			since := at.Sub(times[0])
			offsets = append(offsets, since-since.Round(period))
		}
		slices.Sort(offsets)
		t.first[target] = times[0].Add(offsets[(len(offsets)-1)/2])
	}
	return t
}

// lateness returns, for every turn of every target from an instant on and a period
// before another, until which arrivals were recorded, how long after the turn the
// next probe came. One that came sooner than a tenth of a period before its
// turn was not meant for it. One that did not come at all was late by the time
// that was left.
func (t turns) lateness(arrivals []arrival, from, to time.Time) []time.Duration {
	byTarget := make(map[netip.AddrPort][]time.Time)
	for _, a := range arrivals {
		byTarget[a.target] = append(byTarget[a.target], a.at)
	}
	var late []time.Duration
	for target, first := range t.first {
		times := byTarget[target]
		turn := first.Add(from.Sub(first).Truncate(t.period))
		for ; turn.Add(t.period).Before(to); turn = turn.Add(t.period) {
			if turn.Before(from) {
				continue
			}
			i, _ := slices.BinarySearchFunc(times, turn.Add(-t.period/10), time.Time.Compare)
			came := to
			if i < len(times) {
				came = times[i]
			}
			late = append(late, max(0, came.Sub(turn)))
		}
	}
	return late
}

// quantile returns the least of durations that a share of them does not exceed.
func quantile(durations []time.Duration, part float64) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}
