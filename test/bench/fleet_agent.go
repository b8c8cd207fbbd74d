package main

import (
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/budget"
)

// simulated is an agent of the fleet.
type simulated struct {
	node       *siteNode
	uid        types.UID
	generation int64
	heartbeat  time.Duration
	size       int
	// targets are by ascending address.
	targets []dialled
	pacer   reporter.Pacer
	// period is the time between two looks at a pair whose app declares another,
	// of which declared is the one that was last asked for.
	declared, period time.Duration

	// pending is the number of pairs without proof, and turned whether any turned since
	// the last report.
	pending int
	turned  bool
	// news is when the agent next sees something that it does not know, never if
	// there is no such thing, and stepped when it was last looked for, among how
	// many pairs that were unlike what the agent knew.
	news, stepped time.Duration
	unlike        int
	// round is the newest request to look again, which is carried out at asked,
	// and done the newest that was.
	round, done int64
	asked       time.Duration

	// begins is when the agent starts, and running whether it has.
	begins  time.Duration
	running bool
	wanted  *assigned
	writing bool
	// place is where in the queue the agent is, and due when its turn is.
	place int
	due   time.Duration
}

// dialled is an address that an agent dials, and what it knows of the ports there:
// what neither fails nor is pending is reached.
type dialled struct {
	node    *siteNode
	address netip.Addr
	own     bool
	seed    uint64
	turn    uint32

	failing, pending portBits
	// entered is when the pending pairs were last dropped in all at once, spread by
	// how long their looks are spread, and doubted whether they had been reached
	// before.
	entered, spread time.Duration
	doubted         bool

	kin kinLook

	// asked are the ports to look at out of turn, and when that is.
	asked   portBits
	askedAt time.Duration
}

// kinLook is a look at all ports of an address because one of them turned.
type kinLook struct {
	slot      int
	due, next time.Duration

	// looks is whether there was one, from at on and for as long as spread, at the
	// ports that are known as failing or at those that are not.
	looks, failing bool
	at, spread     time.Duration
}

// step brings an agent to a time: it sees what it was to see until then.
func (f *fleetActor) step(a *simulated, now time.Duration) {
	a.news, a.stepped, a.unlike = reporter.Never, now, 0
	// One that is cut off stops to believe the others by the first that fails: then there
	// is nothing left that it believes.
	cutOff := f.cutOff(a)
	look := func(t *dialled, slot int) {
		if at, failed := f.glance(a, t, slot, now); failed && cutOff && !t.own {
			f.disbelieve(a, at)
			cutOff = false
		}
	}
	for i := range a.targets {
		t := &a.targets[i]
		broken := f.breaks.broken(t.node)
		unlike := t.pending
		for w := range unlike {
			unlike[w] |= t.failing[w] ^ broken[w]
		}
		for slot := range unlike.all() {
			a.unlike++
			look(t, slot)
		}
	}
	for i := range a.targets {
		if t := &a.targets[i]; t.kin.due <= now {
			f.lookAtKin(a, t)
			for slot := range f.outdated(t).all() {
				look(t, slot)
			}
		}
	}
	if a.asked <= now {
		a.done, a.asked = a.round, reporter.Never
		a.pacer.NoteRechecked(now)
	}
}

// glance has an agent see how a pair is, if it would have by now. It tells when that was,
// and whether it failed.
func (f *fleetActor) glance(a *simulated, t *dialled, slot int, now time.Duration) (at time.Duration, failed bool) {
	if !t.pending.has(slot) && t.failing.has(slot) == f.isBroken(t, slot) {
		return now, false
	}
	at, is := f.seenAt(a, t, slot)
	if at > now {
		a.news = min(a.news, at)
		return at, false
	}
	f.see(a, t, slot, at, is)
	return at, is.broken
}

func (f *fleetActor) isBroken(t *dialled, slot int) bool {
	return t.node.broken || f.breaks.down.has(slot) || t.node.pairs.has(slot)
}

// see sets what an agent knows of a pair.
func (f *fleetActor) see(a *simulated, t *dialled, slot int, at time.Duration, is fault) {
	proven := t.pending.has(slot) && !t.doubted
	if t.pending.has(slot) {
		t.pending.set(slot, false)
		a.pending--
	}
	t.failing.set(slot, is.broken)
	turned := !proven && (!is.broken || f.ready.has(slot))
	a.pacer.Note(at, turned)
	a.turned = a.turned || turned
	if proven || t.own {
		return
	}
	if t.kin.due == reporter.Never {
		t.kin.slot, t.kin.due = slot, max(at+kinDelay, t.kin.next)
	}
	if !is.broken {
		return
	}
	// In doubt of itself, an agent looks at the same port of other nodes at once.
	for i := range a.targets {
		other := &a.targets[i]
		if !other.own && !other.pending.has(slot) && !other.failing.has(slot) && f.isBroken(other, slot) {
			f.see(a, other, slot, at, f.breaks.at(other.node, slot))
		}
	}
}

// cutOff tells whether no other node answers an agent on any port.
func (f *fleetActor) cutOff(a *simulated) bool {
	others := false
	for i := range a.targets {
		t := &a.targets[i]
		if t.own {
			continue
		}
		others = true
		broken := f.breaks.broken(t.node)
		if f.breaks.services.minus(&broken) != (portBits{}) {
			return false
		}
	}
	return others
}

// disbelieve makes all pairs of other nodes that were reached pending: the agent
// finds nobody who answers it.
func (f *fleetActor) disbelieve(a *simulated, at time.Duration) {
	lost := 0
	for i := range a.targets {
		t := &a.targets[i]
		if t.own {
			continue
		}
		for slot := range f.outdated(t).all() {
			if t.failing.has(slot) {
				continue
			}
			t.pending.set(slot, true)
			lost++
		}
	}
	if lost == 0 {
		return
	}
	a.pending += lost
	spread := time.Duration(max(0, lost-agentProbes)) * time.Second / budget.PerAgent
	for i := range a.targets {
		if t := &a.targets[i]; !t.own {
			t.entered, t.spread, t.doubted = at, spread, true
		}
	}
	a.pacer.Note(at, true)
	a.turned = true
	a.news = min(a.news, at)
}

// outdated returns the pairs of an address that are known otherwise than they
// are, and not pending.
func (f *fleetActor) outdated(t *dialled) portBits {
	broken := f.breaks.broken(t.node)
	for w := range broken {
		broken[w] = (broken[w] ^ t.failing[w]) & f.breaks.services[w] &^ t.pending[w]
	}
	return broken
}

// lookAtKin begins with a look at all ports of an address, because one of them
// turned. An app that fails everywhere is no reason.
func (f *fleetActor) lookAtKin(a *simulated, t *dialled) {
	began := t.kin.due
	t.kin.due = reporter.Never
	failing := t.failing.has(t.kin.slot)
	if t.pending.has(t.kin.slot) || failing && !answersElsewhere(a, t) {
		return
	}
	others := t.failing
	if failing {
		others = f.breaks.services.minus(&t.failing, &t.pending)
	}
	t.kin.looks, t.kin.failing, t.kin.at, t.kin.next = true, !failing, began, began+kinPause
	t.kin.spread = time.Duration(others.len()) * time.Second / kinRate
	if failing && f.breaks.at(t.node, t.kin.slot).silent {
		// Each of them takes two probes, and each of these a timeout.
		t.kin.spread = max(t.kin.spread, time.Duration(4*others.len())*time.Second/agentProbes)
	}
}

func answersElsewhere(a *simulated, t *dialled) bool {
	for i := range a.targets {
		other := &a.targets[i]
		if other != t && !other.own && !other.failing.has(t.kin.slot) && !other.pending.has(t.kin.slot) {
			return true
		}
	}
	return false
}
