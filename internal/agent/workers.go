package agent

import (
	"container/heap"
	"time"
)

const (
	// shortTimeout and mediumTimeout part the lanes of slow probes.
	shortTimeout  = 2 * time.Second
	mediumTimeout = 10 * time.Second

	// forgiveTime is how long it takes until what an app used counts half.
	forgiveTime = 5 * time.Minute
)

// lane sorts probes by how long they may hold a worker. An app whose pods accept
// connections and never answer holds one for its timeout, as often as it is
// probed; so what is known to be slow gets a part of the workers, the smaller
// the longer its timeout, and what is cheap always finds one.
type lane uint8

const (
	// steady is a pair that was reached, and quickly.
	steady lane = iota

	// unsure is one that is not reached and said so quickly, or that is new.
	unsure

	// slow, slower and slowest are those whose last probe took longer than
	// hedgeDelay, by their timeout, and probes beside another.
	slow
	slower
	slowest

	// lanes is their number, and the lane of a pair that waits in none.
	lanes
)

// workers shares out the probes that may be under way. A pair that is due waits
// in a lane until it gets a worker, and within a lane the app goes first that
// held workers for the least time lately.
type workers struct {
	lines [lanes]line

	// waiting are the pairs in each line, held the probes under way of each lane.
	waiting, held [lanes]int

	// stints are the probes under way, and free the places that none has.
	stints []stint
	free   []int32
	serial uint64

	// young are stints of the first two lanes, in the order of their starts, from
	// the one at grown on. Those before are slow by now, or have ended.
	young []stintKey
	grown int

	// forgiven is when what the apps used was halved last.
	forgiven time.Duration

	// cutting are the probes that were given up and have not ended yet, by lane.
	cutting [lanes]int
}

// stint is the time for which a probe holds a worker.
type stint struct {
	serial  uint64
	row     *row
	lane    lane
	started time.Duration

	// charged is what the app pays in advance.
	charged time.Duration

	// cut is whether the probe was given up.
	cut bool
}

// stintKey names a stint; the zero key names none.
type stintKey struct {
	place  int32
	serial uint64
}

// line is a heap of the rows that wait in a lane, the one that used least on top.
// It implements heap.Interface.
type line struct {
	lane lane
	rows []*row
}

func newWorkers() workers {
	var w workers
	for l := range w.lines {
		w.lines[l].lane = lane(l)
	}
	return w
}

// laneOf returns the lane of the next probe of p.
func laneOf(p *pair) lane {
	switch {
	case p.inFlight > 0 || p.tardy:
		return slowLane(p.row)
	case p.state == reached, p.state == translated:
		return steady
	}
	return unsure
}

func slowLane(r *row) lane {
	switch {
	case r.service.probe.Timeout <= shortTimeout:
		return slow
	case r.service.probe.Timeout <= mediumTimeout:
		return slower
	}
	return slowest
}

// lineUp has all pairs that are due wait for a worker. One that is not reached
// has one probe under way at most.
func (s *schedule) lineUp(now time.Duration) {
	for len(s.queue) > 0 && s.queue[0].due <= now {
		p := s.queue[0]
		s.queue.take(p)
		if p.inFlight > 0 && p.state != reached && p.state != translated && !p.doubted {
			p.again = true
			continue
		}
		if p.state == reached && p.inFlight > 0 && !p.slow && now-p.started >= hedgeDelay {
			s.trouble(now, p)
		}
		s.workers.admit(p, laneOf(p))
	}
}

// choose returns the pair that gets the next worker, nil if none does: one of the
// first lane if any waits there, and else one of the app that used the least.
func (s *schedule) choose() *pair {
	chosen := lanes
	for l := range lanes {
		if !s.startable(l) {
			continue
		}
		if l == steady {
			return s.workers.lines[l].rows[0].first(l)
		}
		if chosen == lanes || s.workers.lines[l].rows[0].used < s.workers.lines[chosen].rows[0].used {
			chosen = l
		}
	}
	if chosen == lanes {
		return nil
	}
	return s.workers.lines[chosen].rows[0].first(chosen)
}

// startable tells whether a pair waits in a lane that has a worker for it.
func (s *schedule) startable(l lane) bool {
	w := &s.workers
	if w.waiting[l] == 0 || s.inFlight >= s.limit || l == unsure && w.held[l] >= s.share(l) {
		return false
	}
	held := 0
	for i := lanes - 1; i >= slow; i-- {
		held += w.held[i]
		if i <= l && held >= s.share(i) {
			return false
		}
	}
	return true
}

// share returns how many workers a lane may hold: those of slow probes together with
// the lanes after them.
func (s *schedule) share(l lane) int {
	eighths := [lanes]int{steady: 8, unsure: 6, slow: 4, slower: 3, slowest: 2}
	return max(1, (s.limit*eighths[l]+7)/8)
}

// engage gives p, which waits, a worker.
func (s *schedule) engage(now time.Duration, p *pair) stintKey {
	w, r, l := &s.workers, p.row, p.waits
	w.dismiss(p)
	w.serial++
	place := int32(len(w.stints))
	if last := len(w.free) - 1; last >= 0 {
		place, w.free = w.free[last], w.free[:last]
	} else {
		w.stints = append(w.stints, stint{})
	}
	key := stintKey{place, w.serial}
	charged := hedgeDelay
	if l >= slow {
		charged = r.service.probe.Timeout
	} else {
		w.young = append(w.young, key)
	}
	w.stints[place] = stint{serial: key.serial, row: r, lane: l, started: now, charged: charged}
	w.held[l]++
	w.charge(r, charged)
	return key
}

// release ends a stint. It tells whether the probe was given up.
func (w *workers) release(now time.Duration, key stintKey) bool {
	if key.serial == 0 {
		return false
	}
	ended := w.stints[key.place]
	w.stints[key.place] = stint{}
	w.free = append(w.free, key.place)
	w.held[ended.lane]--
	if ended.cut {
		w.cutting[ended.lane]--
	}
	w.charge(ended.row, now-ended.started-ended.charged)
	return ended.cut
}

// ripen moves the probes that turned out to be slow into their lane.
func (w *workers) ripen(now time.Duration) {
	for ; w.grown < len(w.young); w.grown++ {
		key := w.young[w.grown]
		grown := &w.stints[key.place]
		if grown.serial != key.serial {
			continue
		}
		if now < grown.started+hedgeDelay {
			break
		}
		w.held[grown.lane]--
		grown.lane = slowLane(grown.row)
		w.held[grown.lane]++
		w.charge(grown.row, grown.row.service.probe.Timeout-grown.charged)
		grown.charged = grown.row.service.probe.Timeout
	}
	if w.grown == len(w.young) || w.grown > len(w.stints) {
		w.young = w.young[:copy(w.young, w.young[w.grown:])]
		w.grown = 0
	}
}

// cutDue returns when cut may have something to do without any result: when one
// more probe turns out to be slow, and pairs wait.
func (s *schedule) cutDue() time.Duration {
	w := &s.workers
	if w.waiting == [lanes]int{} {
		return never
	}
	for _, key := range w.young[w.grown:] {
		if next := w.stints[key.place]; next.serial == key.serial {
			return next.started + hedgeDelay
		}
	}
	return never
}

// cut gives up a slow probe where others find no worker because slow ones hold more
// than their share: they began as quick ones. It returns the stint, and false where
// there is no need to. Such a probe has no result. The app that pays is the one that
// held workers for the most time lately.
func (s *schedule) cut(now time.Duration) (stintKey, bool) {
	s.workers.ripen(now)
	l := s.crowded()
	if l == lanes {
		return stintKey{}, false
	}
	var key stintKey
	var worst *stint
	for i := range s.workers.stints {
		c := &s.workers.stints[i]
		if c.serial == 0 || c.cut || c.lane < l {
			continue
		}
		if worst == nil || c.row.used > worst.row.used || c.row.used == worst.row.used && c.started > worst.started {
			key, worst = stintKey{int32(i), c.serial}, c
		}
	}
	worst.cut = true
	s.workers.cutting[worst.lane]++
	return key, true
}

// crowded returns a lane that holds, with those after it, more than its share,
// although pairs of lanes before it wait for that; lanes if there is none.
func (s *schedule) crowded() lane {
	w := &s.workers
	held, cutting := 0, 0
	for l := lanes - 1; l >= slow; l-- {
		held += w.held[l] - w.cutting[l]
		cutting += w.cutting[l]
		waiting := 0
		for before := steady; before < l; before++ {
			if !s.startable(before) {
				waiting += w.waiting[before]
			}
		}
		if waiting > cutting && held > s.share(l) {
			return l
		}
	}
	return lanes
}

// forgive halves what the apps used, as often as it is time to. That keeps their
// order.
func (s *schedule) forgive(now time.Duration) {
	if now < s.workers.forgiven+forgiveTime {
		return
	}
	s.workers.forgiven = now
	for _, r := range s.rows {
		r.used /= 2
	}
	for i := range s.workers.stints {
		s.workers.stints[i].charged /= 2
	}
}

// admit has p wait in a lane.
func (w *workers) admit(p *pair, l lane) {
	r := p.row
	p.waits = l
	w.waiting[l]++
	r.lined[l]++
	if r.lined[l] == 1 {
		heap.Push(&w.lines[l], r)
	}
}

// dismiss takes p out of its line, if it waits in one.
func (w *workers) dismiss(p *pair) {
	l, r := p.waits, p.row
	if l == lanes {
		return
	}
	p.waits = lanes
	w.waiting[l]--
	r.lined[l]--
	if r.lined[l] == 0 {
		heap.Remove(&w.lines[l], int(r.places[l]))
	}
}

// charge adds to what r used.
func (w *workers) charge(r *row, used time.Duration) {
	r.used = max(0, r.used+used)
	for l, pairs := range r.lined {
		if pairs > 0 {
			heap.Fix(&w.lines[l], int(r.places[l]))
		}
	}
}

// first returns the pair that waits the longest in a lane, of which there is one.
func (r *row) first(l lane) *pair {
	var first *pair
	for i := range r.pairs {
		if p := &r.pairs[i]; p.waits == l && (first == nil || p.due < first.due) {
			first = p
		}
	}
	return first
}

func (l *line) Len() int           { return len(l.rows) }
func (l *line) Less(i, j int) bool { return l.rows[i].used < l.rows[j].used }

func (l *line) Swap(i, j int) {
	l.rows[i], l.rows[j] = l.rows[j], l.rows[i]
	l.rows[i].places[l.lane], l.rows[j].places[l.lane] = int32(i), int32(j)
}

func (l *line) Push(x any) {
	r := x.(*row)
	r.places[l.lane] = int32(len(l.rows))
	l.rows = append(l.rows, r)
}

func (l *line) Pop() any {
	last := len(l.rows) - 1
	r := l.rows[last]
	l.rows[last] = nil
	l.rows = l.rows[:last]
	return r
}
