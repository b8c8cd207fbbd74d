package agent

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

const (
	// smallCluster is the heartbeat of a small cluster. The operator lengthens
	// it as the cluster grows, and the agents spread by the same factor what all
	// of them have reason to do at once.
	smallCluster = protocol.PromptHeartbeat

	// hedgeDelay is how long a probe may stay without an answer until the next
	// is started beside it. Silence, which takes the whole timeout to become a
	// failure, is thus confirmed this much after the first timeout, not a second
	// timeout after it. A lost packet does no harm: the hedge answers for it.
	hedgeDelay = 300 * time.Millisecond

	// confirmDelay is the time from a failure to the probe that confirms it.
	confirmDelay = 100 * time.Millisecond

	// patience is the same for a pair without proof: proxies on other nodes
	// learn of a new Service when this agent does, and may need a moment more.
	patience = time.Second

	// beat is what regular turns are multiples of. To wake for each of hundreds per second
	// costs more than half of what a probe does.
	beat = 20 * time.Millisecond

	// grace is how much later than planned a result may be.
	grace = time.Second

	// settleTime is how long a port is not dialled after its traffic began to go
	// elsewhere: until then a proxy may still send it to the app that had the
	// port before, whose answer would pass for the new one's.
	settleTime = 1500 * time.Millisecond

	// A failing pair is probed fastest after the last failure at first, and then
	// ever more slowly: every slowdown-th part of the time that it has been
	// failing, until that is its period.
	fastest  = time.Second
	slowdown = 6
)

// state is what is known of a pair.
type state uint8

const (
	pending    state = iota // no proof yet
	reached                 // the last probe was answered
	failing                 // at least failureThreshold probes in a row were not
	undialled               // the Service lacks the address's IP family
	translated              // the kernel took the last probe elsewhere
	ownHost                 // the address is, by whatever name, this host's own
)

// change is what a result means for the report.
type change uint8

const (
	unchanged change = iota
	proven           // a pending pair has its first proof
	turned           // a pair that was proven is something else now
	foreseen         // it fails, as it must where no pod is ready
)

// pair is one address and one node port.
type pair struct {
	row     *row
	address netip.Addr

	// result is why a failing pair fails.
	result probe.Result

	// detour is where the probes of a translated pair end, nil if that is not known.
	detour *detour

	// since is when a failing pair began to fail, or, if that was later, when it
	// was given reason to recover.
	since time.Duration

	// started is when the newest probe began.
	started time.Duration

	// due is when the next probe starts, or was to, if the pair is in the queue
	// or waits for a worker.
	due time.Duration

	// expires is when what is known of the pair is no longer: by then the next
	// probes should have told.
	expires time.Duration

	// round is carried by the probes of the pair. Those of an earlier round
	// count no more: they began before a success, or with an older Service.
	round uint64

	// place is where in the queue the pair is.
	place int32

	// phase is the pair's turn in its period, as a fraction of 2³².
	phase uint32

	state state

	// waits is the lane in which the pair waits for a worker.
	waits lane

	// way is that of the last probe that was looked at.
	way probe.Way

	// failed are the failures in a row, and inFlight the probes under way, of
	// this round.
	failed, inFlight uint8

	// slow is whether the last answer took so long that the lack of one says
	// little, troubled whether the pair failed to answer in this round, doubted
	// whether a pending pair was reached before a doubt, ailing whether evidence
	// about it is gathered, and excused whether it fails for want of a pod. tardy
	// is whether the last probe, whatever it found, held its worker for long, and
	// again whether the next follows it at once.
	slow, troubled, doubted, ailing, excused, tardy, again bool
}

// row is a Service and its pairs, one for each address of the schedule.
type row struct {
	service service
	pairs   []pair

	// dialled is the number of pairs that are.
	dialled int

	// opens is when the first probe may be.
	opens time.Duration

	// changed is when the endpoints changed last, and stirred when the row was
	// last probed for that.
	changed, stirred time.Duration

	// uneasy is when a pair was last in trouble, 0 if none was.
	uneasy time.Duration

	// used is for how long probes held workers, as far as that counts. lined are
	// the pairs that wait for one, by lane, and places where in the lines of
	// those lanes the row is.
	used   time.Duration
	lined  [lanes]uint8
	places [lanes]int32
}

// vacancy is the Service that a port belonged to before.
type vacancy struct {
	uid     types.UID
	routing uint64
	settled time.Duration
}

// flight is a probe under way.
type flight struct {
	target  probe.Target
	round   uint64
	started time.Duration
	stint   stintKey
}

// schedule knows every pair, what was found about it, and when to probe it next.
// It does nothing by itself: whoever owns it asks which probes to start, and
// hands in their results. Times are since an instant of the owner's choice.
type schedule struct {
	limit     int
	heartbeat time.Duration
	// size is that of the cluster, in nodes.
	size      int
	addresses []netip.Addr
	// own are the addresses of the node itself.
	own []netip.Addr
	// outside is whether the observer is outside of the cluster. From there, no other way
	// leads to an app than its node ports.
	outside bool
	// turns are the node's turns in the periods of the addresses.
	turns     map[netip.Addr]uint32
	rows      map[uint16]*row
	ports     map[types.NamespacedName]uint16
	vacancies map[uint16]vacancy
	queue     queue
	workers   workers
	// polled is when start last looked for something to do.
	polled time.Duration

	// load is the number of probes per second that the budgets of the apps
	// leave, and stretch the factor on all periods that keeps the agent's.
	load, stretch float64

	// rounds is the last round given to a pair, inFlight the number of probes
	// under way in any round, pending the number of pairs in that state.
	rounds   uint64
	inFlight int
	pending  int

	recheck recheck
	doubt   doubt
	// sweepable is when a doubt may next make pairs due.
	sweepable time.Duration

	// endpoints are by Service, nil until all have been listed, and stirs is when
	// to probe ports because theirs changed.
	endpoints map[types.NamespacedName][]endpoints
	stirs     map[uint16]time.Duration
	tracking  tracking

	// kin are by address.
	kin map[netip.Addr]kin

	paths paths
}

// newSchedule returns an empty schedule, which runs at most limit probes at once.
func newSchedule(limit int) *schedule {
	return &schedule{
		limit:     limit,
		heartbeat: smallCluster,
		size:      1,
		rows:      map[uint16]*row{},
		ports:     map[types.NamespacedName]uint16{},
		vacancies: map[uint16]vacancy{},
		workers:   newWorkers(),
		stirs:     map[uint16]time.Duration{},
		tracking:  newTracking(),
		kin:       map[netip.Addr]kin{},
		paths:     newPaths(),
		stretch:   1,
	}
}

// start begins a probe that is due, if it gets a worker. It returns false when
// none does.
func (s *schedule) start(now time.Duration) (flight, bool) {
	s.polled = now
	s.forgive(now)
	s.workers.ripen(now)
	s.lineUp(now)
	p := s.choose()
	if p == nil {
		return flight{}, false
	}
	key := s.engage(now, p)
	p.started = now
	p.inFlight++
	s.inFlight++
	// Where a translation ends, silence is as good as anywhere.
	if (p.state == reached || p.state == translated || p.doubted) && p.failed+p.inFlight < p.row.service.probe.Threshold {
		s.plan(p, now+hedgeDelay)
	}
	return flight{
		target: probe.Target{
			Address: netip.AddrPortFrom(p.address, p.row.service.port),
			Path:    p.row.service.probe.Path,
			Timeout: p.row.service.probe.Timeout,

			Provable: s.foreign(p.address) && p.state != ownHost,
			Detoured: s.expected(p) == probe.Translated,
		},
		round:   p.round,
		started: now,
		stint:   key,
	}, true
}

// next returns when start has something to do, and false when that depends on
// something else than time.
func (s *schedule) next() (time.Duration, bool) {
	next := never
	if len(s.queue) > 0 {
		next = s.queue[0].due
	}
	for l := range lanes {
		if s.startable(l) {
			next = min(next, s.polled)
		}
	}
	return next, next != never
}

// finish takes the result of a probe that start returned.
func (s *schedule) finish(now time.Duration, f flight, result probe.Result) change {
	p, before := s.pair(f.target.Address), undialled
	if p != nil {
		before = p.state
	}
	s.trace(p, &result)
	change := s.take(now, f, p, result)
	if change == turned && p.state != before {
		s.tellKin(now, p)
	}
	return change
}

// take takes the result of a probe of p, which is nil if there is no such pair
// any more.
func (s *schedule) take(now time.Duration, f flight, p *pair, result probe.Result) change {
	s.inFlight--
	cut := s.workers.release(now, f.stint)
	path := result.Path
	result.Path = probe.Path{}
	if p == nil {
		s.prove(f, result)
		return unchanged
	}
	known, wordless := s.wordless(p, path)
	if !wordless {
		s.prove(f, result)
	}
	if p.round != f.round {
		return unchanged
	}
	p.inFlight--
	p.tardy = now-f.started > hedgeDelay
	again := p.again
	change := unchanged
	switch {
	case wordless:
		change = s.pass(now, f, p, known, path)
	case result.Reached():
		change = s.succeed(now, f, p)
	case !cut:
		change = s.fail(now, f, p, result)
	case p.inFlight == 0:
		s.hasten(p, now+fastest)
	}
	if again && p.inFlight == 0 {
		p.again = false
		s.hasten(p, now)
	}
	return change
}

// succeed takes an answer.
func (s *schedule) succeed(now time.Duration, f flight, p *pair) change {
	s.newRound(p)
	p.slow = p.tardy
	p.expires = now + s.cycle(p)
	s.plan(p, s.tick(now, p))
	s.looked(now, p, f.started)
	return s.conclude(p, reached, probe.Result{})
}

// fail takes the lack of one.
func (s *schedule) fail(now time.Duration, f flight, p *pair, result probe.Result) change {
	threshold := p.row.service.probe.Threshold
	if p.state == reached {
		s.trouble(now, p)
	}
	p.failed = min(p.failed+1, threshold)
	if p.failed < threshold && p.state != failing {
		if p.failed+p.inFlight < threshold {
			s.plan(p, now+confirmAfter(p))
		}
		return unchanged
	}
	if p.state != failing {
		p.since = now
	}
	p.expires = now + s.cycle(p)
	s.plan(p, max(now+fastest, f.started+s.pace(now, p)))
	s.looked(now, p, f.started)
	if result.Reason == probe.NotDialled {
		return s.conclude(p, pending, probe.Result{})
	}
	return s.conclude(p, failing, result)
}

// conclude sets what is known of p.
func (s *schedule) conclude(p *pair, known state, result probe.Result) change {
	before, doubted, excused := p.state, p.doubted, p.excused
	p.doubted, p.excused = false, known == failing && s.podless(p)
	if known == failing {
		s.ail(p)
	} else {
		s.heal(p)
	}
	// A failure that had an excuse, and has none any more, is news.
	unexcused := excused && known == failing && !p.excused
	if before == known && p.result == result && !unexcused {
		return unchanged
	}
	alike := before == failing && known == failing && !unexcused && rejected(p.result) && rejected(result)
	s.setState(p, known)
	p.result = result
	switch {
	case before == pending && !doubted:
		return proven
	case alike:
		return unchanged
	case p.excused:
		return foreseen
	}
	return turned
}

// podless tells whether no pod could answer a pair. What it finds then concerns nobody
// yet, and all observers find it at once.
func (s *schedule) podless(p *pair) bool {
	return s.endpoints != nil && !s.readyEndpoint(p.row.service.key, p.address.Is6()).IsValid()
}

// rejected tells whether a failure may be a proxy's rejection. A proxy rejects
// under a rate limit of its kernel, so with several dead ports on a node refusals
// and silence take turns on each of them. Which it was last is no news; the next
// heartbeat tells.
func rejected(result probe.Result) bool {
	return result.Reason == probe.ConnectionRefused || result.Reason == probe.Timeout
}

func (s *schedule) setState(p *pair, known state) {
	if p.state == pending {
		s.pending--
	}
	if known == pending {
		s.pending++
	}
	if known != translated {
		p.detour = nil
	}
	p.state = known
}

// newRound makes p forget its failures and the probes under way.
func (s *schedule) newRound(p *pair) {
	s.rounds++
	p.round, p.failed, p.inFlight, p.troubled, p.again = s.rounds, 0, 0, false, false
}

// plan sets the next probe of p.
func (s *schedule) plan(p *pair, due time.Duration) {
	s.workers.dismiss(p)
	p.due = due
	s.queue.put(p)
}

func confirmAfter(p *pair) time.Duration {
	if p.state == pending && !p.doubted {
		return patience
	}
	return confirmDelay
}

// pace returns the time between two probes of a pair that fails.
func (s *schedule) pace(now time.Duration, p *pair) time.Duration {
	return min((now-p.since)/slowdown, s.period(p))
}

// period returns the time between two probes of a pair that is reached.
func (s *schedule) period(p *pair) time.Duration {
	return time.Duration(float64(s.allowed(p.row)) * s.stretch)
}

// cycle returns how long a word on a pair is current: until its next turn has come,
// and the probes of that have told.
func (s *schedule) cycle(p *pair) time.Duration {
	svc := &p.row.service
	return s.period(p) + svc.probe.Timeout + time.Duration(svc.probe.Threshold)*hedgeDelay + grace
}

// stale tells whether the word on a pair is older than its cycle. To renew it
// would be to say what nobody knows.
func (s *schedule) stale(now time.Duration, p *pair) bool {
	return (p.state == reached || p.state == failing) && now > p.expires
}

// allowed returns the period of a row's pairs that keeps the app's budget.
func (s *schedule) allowed(r *row) time.Duration {
	return budget.Period(r.service.probe.Period, s.size, r.dialled)
}

// crowd is the factor by which to draw out what all agents have reason to do at
// once, or what this one has much of.
func (s *schedule) crowd() float64 {
	return max(s.stretch, s.heartbeat.Seconds()/smallCluster.Seconds())
}

// tick returns the next instant, after now, at which it is the regular turn of
// p. The turns of all pairs are spread over the beats of the period.
func (s *schedule) tick(now time.Duration, p *pair) time.Duration {
	period := s.period(p)
	offset := share(period, p.phase)
	turn := now + period - (now-offset+period)%period
	return turn + (beat-turn%beat)%beat
}

// share returns part/2³² of d.
func share(d time.Duration, part uint32) time.Duration {
	return time.Duration(float64(d) * (float64(part) / (1 << 32)))
}

// phase is the same after every restart. The turns of all who dial a target are
// evenly spread over the period, so that however long that is, the target is
// dialled as often as its observers are many.
func (s *schedule) phase(target netip.AddrPort) uint32 {
	hash := fnv.New64a()
	address := target.Addr().As16()
	// A hash takes every write.
	_, _ = hash.Write(address[:])
	_, _ = hash.Write(binary.BigEndian.AppendUint16(nil, target.Port()))
	// The high half of FNV hardly depends on the last bytes; fold and spread.
	sum := hash.Sum64()
	sum ^= sum >> 32
	return uint32(sum*0x9e3779b97f4a7c15>>32) + s.turns[target.Addr()]
}

// pair returns the pair of target, nil if there is none.
func (s *schedule) pair(target netip.AddrPort) *pair {
	r, ok := s.rows[target.Port()]
	if !ok {
		return nil
	}
	i, ok := slices.BinarySearchFunc(s.addresses, target.Addr(), netip.Addr.Compare)
	if !ok {
		return nil
	}
	return &r.pairs[i]
}
