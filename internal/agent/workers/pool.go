// Package workers shares out the probes that may be under way, so that an app harms its
// own verdict only. An app whose pods accept connections and never answer holds a worker
// for its timeout, as often as it is probed. So pairs that are due wait in lanes, by how
// long they may hold a worker: those that are known to be slow get a part of the
// workers, the smaller the longer their timeout, and cheap ones always find one. Within
// a lane, the app goes first whose probes held workers for the least time lately.
//
// A Pool is a plain value that takes the time as an argument.
package workers

import (
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/internal/agent/queue"
)

const (
	// SlowAfter is how long a probe may stay without an answer until it is slow.
	SlowAfter = 300 * time.Millisecond

	// shortTimeout and mediumTimeout are the bounds between the lanes of slow probes.
	shortTimeout  = 2 * time.Second
	mediumTimeout = 10 * time.Second

	// halfLife is how long it takes until the time that an app used counts half.
	halfLife = 5 * time.Minute

	// Never is later than anything.
	Never = time.Duration(1<<63 - 1)
)

// Lane sorts probes by how long they may hold a worker.
type Lane uint8

const (
	// Steady is a pair that was reached, and quickly.
	Steady Lane = iota

	// Unsure is one that is not reached and failed quickly, or that is new.
	Unsure

	// slow, slower and slowest are those whose last probe took longer than SlowAfter,
	// by their timeout, and probes that start while another of their pair is under way.
	slow
	slower
	slowest

	// None is the number of lanes, and the lane of a pair that waits in none.
	None
)

// App is what the pool keeps of an app. The zero App used no worker yet.
type App struct {
	// Port and Timeout are the app's.
	Port    uint16
	Timeout time.Duration

	// used is for how long probes held workers, decaying. waiting is the number of
	// pairs that wait, by lane, and places are where in the lines of those lanes the
	// app is.
	used    time.Duration
	waiting [None]uint8
	places  [None]int32
}

// SlowLane returns the lane of the app's slow probes.
func (a *App) SlowLane() Lane {
	switch {
	case a.Timeout <= shortTimeout:
		return slow
	case a.Timeout <= mediumTimeout:
		return slower
	}
	return slowest
}

// Decay halves what the app used. Where Pool.Decay returns true, it is to be called
// once for every app, which keeps their order.
func (a *App) Decay() {
	a.used /= 2
}

// Pool is a number of workers.
type Pool struct {
	// Limit is how many probes may be under way at once, and UnderWay how many are,
	// with those that other users of the workers count in.
	Limit, UnderWay int

	// lines are the apps of which pairs wait in a lane, the one that used least on top.
	lines [None]queue.Queue[*App]

	// waiting is the number of pairs in each line, held that of the probes under way
	// of each lane, and cutting that of the probes that were cut and have not ended.
	waiting, held, cutting [None]int

	// holds are the probes under way. The zero hold is a place that is free.
	holds  []hold
	serial uint64

	// decayed is when what the apps used was halved last.
	decayed time.Duration
}

// hold is a probe that holds a worker.
type hold struct {
	ticket  Ticket
	app     *App
	lane    Lane
	started time.Duration

	// charged is what the app paid in advance, and cut whether the probe was cut.
	charged time.Duration
	cut     bool
}

// Ticket names a probe that holds a worker; the zero Ticket names none.
type Ticket struct {
	place  int32
	serial uint64
}

// New returns a pool of limit workers.
func New(limit int) Pool {
	p := Pool{Limit: limit}
	for l := range p.lines {
		p.lines[l] = queue.New(
			func(a, b *App) bool { return a.used < b.used },
			func(a *App) *int32 { return &a.places[l] },
		)
	}
	return p
}

// Decay reports whether it is time to halve what the apps used, and does so for the
// probes under way.
func (p *Pool) Decay(now time.Duration) bool {
	if now < p.decayed+halfLife {
		return false
	}
	p.decayed = now
	for i := range p.holds {
		p.holds[i].charged /= 2
	}
	return true
}

// Join has a pair of app wait in a lane.
func (p *Pool) Join(app *App, l Lane) {
	p.waiting[l]++
	app.waiting[l]++
	if app.waiting[l] == 1 {
		p.lines[l].Put(app)
	}
}

// Leave takes a pair of app out of the lane in which it waits.
func (p *Pool) Leave(app *App, l Lane) {
	p.waiting[l]--
	app.waiting[l]--
	if app.waiting[l] == 0 {
		p.lines[l].Take(app)
	}
}

// Next returns the app of which a pair gets the next worker, and the lane in which that
// waits: the first lane if any waits there, and else that of the app that used the
// least. It returns None if no pair waits that may have one.
func (p *Pool) Next(now time.Duration) (*App, Lane) {
	p.reclassify(now)
	if p.Startable(Steady) {
		return p.lines[Steady].Items[0], Steady
	}
	var app *App
	lane := None
	for l := Unsure; l < None; l++ {
		if p.Startable(l) && (lane == None || p.lines[l].Items[0].used < app.used) {
			app, lane = p.lines[l].Items[0], l
		}
	}
	return app, lane
}

// Startable reports whether a pair waits in a lane that has a worker for it.
func (p *Pool) Startable(l Lane) bool {
	if p.waiting[l] == 0 || p.UnderWay >= p.Limit || l == Unsure && p.held[l] >= p.share(l) {
		return false
	}
	held := 0
	for i := None - 1; i >= slow; i-- {
		held += p.held[i]
		if i <= l && held >= p.share(i) {
			return false
		}
	}
	return true
}

// share returns how many workers a lane may hold: those of slow probes together with
// the lanes after them.
func (p *Pool) share(l Lane) int {
	eighths := [None]int{Steady: 8, Unsure: 6, slow: 4, slower: 3, slowest: 2}
	return max(1, (p.Limit*eighths[l]+7)/8)
}

// Engage gives a pair of app, which leaves the lane l in which it waits, a worker.
func (p *Pool) Engage(now time.Duration, app *App, l Lane) Ticket {
	p.Leave(app, l)
	p.UnderWay++
	p.serial++
	place := slices.IndexFunc(p.holds, func(h hold) bool { return h.app == nil })
	if place < 0 {
		place = len(p.holds)
		p.holds = append(p.holds, hold{})
	}
	charged := SlowAfter
	if l >= slow {
		charged = app.Timeout
	}
	ticket := Ticket{int32(place), p.serial}
	p.holds[place] = hold{ticket: ticket, app: app, lane: l, started: now, charged: charged}
	p.held[l]++
	p.charge(app, charged)
	return ticket
}

// Release takes back a worker. It reports whether the probe was cut.
func (p *Pool) Release(now time.Duration, ticket Ticket) bool {
	if ticket.serial == 0 {
		return false
	}
	p.UnderWay--
	ended := p.holds[ticket.place]
	p.holds[ticket.place] = hold{}
	p.held[ended.lane]--
	if ended.cut {
		p.cutting[ended.lane]--
	}
	p.charge(ended.app, now-ended.started-ended.charged)
	return ended.cut
}

// reclassify moves the probes that turned out to be slow into their lane.
func (p *Pool) reclassify(now time.Duration) {
	for i := range p.holds {
		h := &p.holds[i]
		if h.app == nil || h.lane >= slow || now < h.started+SlowAfter {
			continue
		}
		p.held[h.lane]--
		h.lane = h.app.SlowLane()
		p.held[h.lane]++
		p.charge(h.app, h.app.Timeout-h.charged)
		h.charged = h.app.Timeout
	}
}

// CutDue returns when Cut may have something to do without any result: when one more
// probe turns out to be slow, and pairs wait.
func (p *Pool) CutDue() time.Duration {
	due := Never
	if p.waiting == [None]int{} {
		return due
	}
	for i := range p.holds {
		if h := &p.holds[i]; h.app != nil && h.lane < slow {
			due = min(due, h.started+SlowAfter)
		}
	}
	return due
}

// Cut gives up a slow probe if others find no worker because slow ones hold more than
// their share: they began as quick ones. It returns false if there is no need to. A
// probe that was cut has no result. The app that pays is the one that held workers for
// the most time lately.
func (p *Pool) Cut(now time.Duration) (Ticket, bool) {
	p.reclassify(now)
	lane := p.overfull()
	if lane == None {
		return Ticket{}, false
	}
	var worst *hold
	for i := range p.holds {
		h := &p.holds[i]
		if h.app == nil || h.cut || h.lane < lane {
			continue
		}
		if worst == nil || h.app.used > worst.app.used || h.app.used == worst.app.used && h.started > worst.started {
			worst = h
		}
	}
	worst.cut = true
	p.cutting[worst.lane]++
	return worst.ticket, true
}

// overfull returns a lane that holds, with those after it, more than its share,
// although pairs of lanes before it wait for that; None if there is none.
func (p *Pool) overfull() Lane {
	held, cutting := 0, 0
	for l := None - 1; l >= slow; l-- {
		held += p.held[l] - p.cutting[l]
		cutting += p.cutting[l]
		waiting := 0
		for before := Steady; before < l; before++ {
			if !p.Startable(before) {
				waiting += p.waiting[before]
			}
		}
		if waiting > cutting && held > p.share(l) {
			return l
		}
	}
	return None
}

// charge adds to what app used.
func (p *Pool) charge(app *App, used time.Duration) {
	app.used = max(0, app.used+used)
	for l, pairs := range app.waiting {
		if pairs > 0 {
			p.lines[l].Put(app)
		}
	}
}
