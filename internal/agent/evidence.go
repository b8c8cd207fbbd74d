package agent

import (
	"net/netip"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
)

const (
	// maxWays is how many ways may be tried at once. They count among the probes
	// under way, and take a quarter of the workers at most.
	maxWays = 4

	// wayPause is the least time until a way is tried again.
	wayPause = 5 * time.Second

	// maxApps and maxProxies are of how many apps, each in an IP family, and of
	// how many nodes' proxies evidence is gathered at once.
	maxApps    = 64
	maxProxies = 16

	// healthPort and healthPath are where kube-proxy tells of its health, and
	// healthTimeout is how long it may take.
	healthPort    = 10256
	healthPath    = "/healthz"
	healthTimeout = time.Second
)

// way is another way to an app whose node port does not answer, or to the proxy
// that should.
type way uint8

const (
	toPod way = iota
	toClusterIP
	toProxy
	toOwnProxy
	ways
)

// wayKey names a way: of an app, by its node port and IP family, or to the proxy
// at address.
type wayKey struct {
	way     way
	port    uint16
	ipv6    bool
	address netip.Addr
}

// attempts are those on one way.
type attempts struct {
	// id tells apart the attempts before and after a recovery.
	id uint64

	// target is where the last attempt went, and word what it found: Reached, a
	// reason, or empty.
	target netip.AddrPort
	word   string

	// due is when to try next, 0 at once.
	due      time.Duration
	underWay bool
}

// tracking is the gathering of evidence.
type tracking struct {
	// ailing counts the pairs, in trouble or failing, that have use for a way.
	ailing map[wayKey]int

	// tried are the ways of these that are tried, as many as there may be, and
	// tries the number by kind.
	tried map[wayKey]*attempts
	tries [ways]int

	ids      uint64
	underWay int

	// next is the way that is due first, and due when, as long as sought: until
	// something changes on which that depends.
	next   wayKey
	due    time.Duration
	sought bool
}

// attempt is one under way.
type attempt struct {
	key    wayKey
	id     uint64
	target probe.Target
}

func newTracking() tracking {
	return tracking{ailing: map[wayKey]int{}, tried: map[wayKey]*attempts{}}
}

// waysOf returns the ways that explain a failure of p. That to the node's own
// proxy tells whether there is one to be expected on others.
func (s *schedule) waysOf(p *pair) [ways]wayKey {
	port, ipv6 := p.row.service.port, p.address.Is6()
	keys := [ways]wayKey{
		{way: toPod, port: port, ipv6: ipv6},
		{way: toClusterIP, port: port, ipv6: ipv6},
		{way: toProxy, address: p.address},
		{way: toOwnProxy},
	}
	for _, own := range s.own {
		if own.Is6() == ipv6 {
			keys[toOwnProxy].address = own
		}
	}
	return keys
}

// toHealth tells whether a way leads to the health port of a proxy.
func (w way) toHealth() bool {
	return w == toProxy || w == toOwnProxy
}

// ail begins with the gathering of evidence about p.
func (s *schedule) ail(p *pair) {
	if p.ailing || s.outside || !s.foreign(p.address) {
		return
	}
	p.ailing = true
	for _, key := range s.waysOf(p) {
		s.tracking.ailing[key]++
		s.tracking.try(key)
	}
}

// heal drops the evidence about p.
func (s *schedule) heal(p *pair) {
	if !p.ailing {
		return
	}
	p.ailing = false
	for _, key := range s.waysOf(p) {
		s.tracking.release(key)
	}
}

// try begins with a way, if there is room for it.
func (t *tracking) try(key wayKey) {
	room := maxApps
	if key.way.toHealth() {
		room = maxProxies
	}
	if t.tried[key] != nil || t.tries[key.way] >= room {
		return
	}
	t.sought = false
	t.ids++
	t.tries[key.way]++
	t.tried[key] = &attempts{id: t.ids}
}

// release ends the use of one pair for a way. With the last, another way may
// take its place.
func (t *tracking) release(key wayKey) {
	if t.ailing[key]--; t.ailing[key] > 0 {
		return
	}
	delete(t.ailing, key)
	if t.tried[key] == nil {
		return
	}
	t.sought = false
	delete(t.tried, key)
	t.tries[key.way]--
	if len(t.tried) == len(t.ailing) {
		return
	}
	for next := range t.ailing {
		if next.way == key.way && t.tried[next] == nil {
			t.try(next)
			return
		}
	}
}

// startWay starts an attempt that is due.
func (s *schedule) startWay(now time.Duration) (attempt, bool) {
	key, due := s.nextWay()
	if due > now {
		return attempt{}, false
	}
	tried := s.tracking.tried[key]
	target, _ := s.targetOf(key)
	tried.target, tried.underWay = target.Address, true
	s.tracking.sought = false
	s.tracking.underWay++
	s.inFlight++
	return attempt{key: key, id: tried.id, target: target}, true
}

// nextWay returns the way that is due first, never if that depends on something
// else than time.
func (s *schedule) nextWay() (next wayKey, due time.Duration) {
	due = never
	if s.tracking.underWay >= max(1, min(maxWays, s.limit/4)) || s.inFlight >= s.limit {
		return next, due
	}
	if s.tracking.sought {
		return s.tracking.next, s.tracking.due
	}
	for key, tried := range s.tracking.tried {
		if tried.underWay {
			continue
		}
		target, ok := s.targetOf(key)
		switch {
		case !ok:
			tried.target, tried.word = netip.AddrPort{}, ""
			continue
		case tried.target != target.Address:
			// Another pod: what the former found is of no use.
			tried.target, tried.word, tried.due = target.Address, "", 0
		}
		if tried.due < due {
			next, due = key, tried.due
		}
	}
	s.tracking.next, s.tracking.due, s.tracking.sought = next, due, true
	return next, due
}

// finishWay takes the result of an attempt, and tells whether it is news.
func (s *schedule) finishWay(now time.Duration, a attempt, result probe.Result) bool {
	s.inFlight--
	s.tracking.underWay--
	s.tracking.sought = false
	tried := s.tracking.tried[a.key]
	if tried == nil || tried.id != a.id {
		return false
	}
	tried.underWay = false
	if target, ok := s.targetOf(a.key); !ok || target.Address != a.target.Address {
		return false
	}
	tried.due = now + s.wayPause(a.key)
	before := tried.word
	switch {
	case result.Reached():
		tried.word = v1alpha1.EvidenceReached
	case result.Reason == probe.NotDialled:
		tried.word = ""
	default:
		tried.word = string(result.Reason)
	}
	alike := rejected(probe.Result{Reason: probe.Reason(before)}) && rejected(result)
	return before != tried.word && !alike && s.explains(a.key)
}

// explains tells whether a failing pair has use for a way.
func (s *schedule) explains(key wayKey) bool {
	uses := func(r *row) bool {
		for i := range r.pairs {
			p := &r.pairs[i]
			if p.state == failing && p.ailing && s.waysOf(p)[key.way] == key {
				return true
			}
		}
		return false
	}
	if r, ok := s.rows[key.port]; ok {
		return uses(r)
	}
	for _, r := range s.rows {
		if key.way.toHealth() && uses(r) {
			return true
		}
	}
	return false
}

// targetOf returns where a way leads now, and false if nowhere.
func (s *schedule) targetOf(key wayKey) (probe.Target, bool) {
	if key.way.toHealth() {
		return probe.Target{
			Address: netip.AddrPortFrom(key.address, healthPort),
			Path:    healthPath,
			Timeout: healthTimeout,
		}, key.address.IsValid()
	}
	r, ok := s.rows[key.port]
	if !ok {
		return probe.Target{}, false
	}
	address := r.service.clusterIP(key.ipv6)
	if key.way == toPod {
		address = s.readyEndpoint(r.service.key, key.ipv6)
	}
	if !address.IsValid() || !probe.Dialable(address.Addr()) {
		return probe.Target{}, false
	}
	return probe.Target{Address: address, Path: r.service.probe.Path, Timeout: r.service.probe.Timeout}, true
}

func (s *schedule) wayPause(key wayKey) time.Duration {
	pause := wayPause
	if r, ok := s.rows[key.port]; ok && !key.way.toHealth() {
		pause = max(pause, r.service.probe.Period)
	}
	return time.Duration(float64(pause) * s.crowd())
}

// evidenceOf returns what is known of the ways to p.
func (s *schedule) evidenceOf(p *pair) v1alpha1.Evidence {
	if !p.ailing {
		return v1alpha1.Evidence{}
	}
	var words [ways]string
	for i, key := range s.waysOf(p) {
		if tried := s.tracking.tried[key]; tried != nil {
			words[i] = tried.word
		}
	}
	if words[toOwnProxy] != v1alpha1.EvidenceReached && !lost(words[toProxy]) {
		// Where the node's own proxy has no such port either, that another's does
		// not answer means nothing.
		words[toProxy] = ""
	}
	return v1alpha1.Evidence{Pod: words[toPod], ClusterIP: words[toClusterIP], KubeProxy: words[toProxy]}
}

// lost tells whether packets got lost, rather than a connection was refused.
func lost(word string) bool {
	return word == string(probe.Timeout) || word == string(probe.NoRoute)
}
