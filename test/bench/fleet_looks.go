package main

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"time"

	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// When a simulated agent looks at a pair, and how long it takes it to be sure of
// what it sees, as internal/agent has it. Only what is broken or mended is asked
// for, so the times are worked out from the pair's turn in its period, and no
// pair has a timer.
const (
	// confirming is the time from a refusal to the one that confirms it, and
	// waiting the same for a pair that has no proof yet.
	confirming = 100 * time.Millisecond
	waiting    = time.Second

	// silence is how much longer that takes where nothing answers: a timeout and
	// what the second probe starts later.
	silence = 2200 * time.Millisecond

	// settling is how long after a change of endpoints a port is looked at, and
	// stirPause the least time between two such looks.
	settling  = 300 * time.Millisecond
	stirPause = time.Second

	// A failing pair is looked at fastest after it failed, and then every
	// slowdown-th part of the time that it has been failing.
	fastest  = time.Second
	slowdown = 6

	// The other ports of an address are looked at kinDelay after one turned, so
	// many per second, and not again for kinPause.
	kinDelay = 2 * time.Second
	kinPause = 30 * time.Second
	kinRate  = budget.PerAgent / 2

	// agentProbes is how many probes an agent may have under way.
	agentProbes = 128

	// roundTrip is how long an answer takes.
	roundTrip = 5 * time.Millisecond
)

// stretched returns the time between two looks of an agent at a pair. services is
// the number of apps that it dials, by the period that they declare.
func stretched(declared time.Duration, clusterSize, addresses int, services map[time.Duration]int) time.Duration {
	load := 0.0
	for period, n := range services {
		load += float64(n*addresses) / budget.Period(period, clusterSize, addresses).Seconds()
	}
	return time.Duration(float64(budget.Period(declared, clusterSize, addresses)) * max(1, load/budget.PerAgent))
}

// crowded returns by how long agents spread what all of them have reason to look
// at.
func crowded(heartbeat time.Duration) time.Duration {
	return time.Duration(float64(fastest) * (max(1, heartbeat.Seconds()/protocol.PromptHeartbeat.Seconds()) - 1))
}

// fraction returns phase/2³² of d.
func fraction(d time.Duration, phase uint32) time.Duration {
	return time.Duration(float64(d) * (float64(phase) / (1 << 32)))
}

// turnAfter returns the next turn, after a time, of a pair with a phase.
func turnAfter(from, period time.Duration, phase uint32) time.Duration {
	return from + period - (from-fraction(period, phase)+period)%period
}

// seedOf is what the phases of an address are made of.
func seedOf(address netip.Addr) uint64 {
	hash := fnv.New64a()
	bytes := address.As16()
	// A hash takes every write.
	_, _ = hash.Write(bytes[:])
	_, _ = hash.Write(binary.BigEndian.AppendUint64(nil, 0))
	return hash.Sum64()
}

// phase returns a pair's turn in its period, as a fraction of 2³²: anywhere, but
// so that those who dial the same address share the period evenly.
func (t *dialled) phase(slot int) uint32 {
	x := (t.seed + uint64(slot)) * 0x9e3779b97f4a7c15
	x ^= x >> 29
	return uint32(x*0xbf58476d1ce4e5b9>>32) + t.turn
}

// seenAt returns when an agent is sure of how a pair is now, if that is not what
// it knows.
func (f *fleetActor) seenAt(a *simulated, t *dialled, slot int) (at time.Duration, is fault) {
	is = f.breaks.at(t.node, slot)
	phase := t.phase(slot)
	var look time.Duration
	switch {
	case t.pending.has(slot):
		since, spread := t.entered, t.spread
		if f.entered[slot] > since {
			since, spread = f.entered[slot], crowded(a.heartbeat)
		}
		look = since + fraction(spread, phase) + roundTrip
	case t.failing.has(slot):
		pace := min(max(fastest, is.lasted/slowdown), f.period(a, slot))
		look = turnAfter(is.at, pace, phase) + roundTrip
	default:
		look = turnAfter(is.at, f.period(a, slot), phase) + roundTrip
	}
	earlier := func(other time.Duration) {
		if other >= is.at && other < look {
			look = other
		}
	}
	if f.stirred[slot] > 0 {
		earlier(f.stirred[slot] + fraction(crowded(a.heartbeat), phase) + roundTrip)
	}
	if t.kin.looks && t.failing.has(slot) == t.kin.failing {
		earlier(t.kin.at + fraction(t.kin.spread, phase) + roundTrip)
	}
	if t.asked.has(slot) {
		earlier(t.askedAt + roundTrip)
	}
	if is.broken {
		look += sure(is, t.pending.has(slot) && !t.doubted)
	}
	return look, is
}

// sure returns the time from a look that fails to the certainty that it does.
func sure(is fault, unproven bool) time.Duration {
	wait := confirming
	if unproven {
		wait = waiting
	}
	if is.silent {
		wait += silence
	}
	return wait
}

func (f *fleetActor) period(a *simulated, slot int) time.Duration {
	if declared := f.declared[slot]; a.declared != declared {
		a.declared, a.period = declared, stretched(declared, a.size, len(a.targets), f.periods)
	}
	return a.period
}
