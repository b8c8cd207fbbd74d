package reachability

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// Matrix holds the newest report of every observer and the apps that they are
// judged for. It is safe for concurrent use.
type Matrix struct {
	// judging is held while an app is judged, so that the nodes stay the same, and
	// taken before mu, which is let go in between for reports to be folded in.
	judging sync.Mutex

	mu      sync.Mutex
	reports map[string]*entry
	// observers are those on nodes that dial an address, and outside those out of the
	// cluster, each by ascending name.
	observers, outside map[netip.Addr][]*entry
	apps               map[types.NamespacedName]*subject
	// census counts observers. It is nil until it is asked for, and again when one came
	// or went.
	census *census

	// nodes are those that apps are judged on, alive their names, and sites their
	// addresses. size is how many there are, for who does not wait for mu.
	nodes []place
	size  atomic.Int64
	alive map[string]bool
	sites map[netip.Addr]*site
	// heard is the last testimony, whose room the next one takes.
	heard testimony
	// touching are the apps that the last report touched.
	touching []types.NamespacedName
	// all is how it is written that so many observers of so many reach a node.
	all []string

	// doubted is how many apps have a doubt on an address, and dated at how many
	// addresses of how many apps it is known since when they fail.
	doubted map[netip.Addr]int
	dated   int

	// round is the last one given to a request to look again, and requests tells that
	// there are new ones. postponed is whether some have to wait for an answer.
	round     int64
	requests  chan struct{}
	postponed bool

	// deaf is since when no report can come, zero while one can.
	deaf time.Time
}

// entry is an observer's report and when it came.
type entry struct {
	*report
	// received is the report with the object that it came in, and at when that was.
	received *Report
	at       time.Time
	// name is that of the observer, and alive whether there is such a Node.
	name  string
	alive bool
	// outside is whether the observer is out of the cluster.
	outside bool
	// own are the addresses of the observer itself.
	own []netip.Addr
	// reaching is whether it reaches another node on some node port, and cutOff whether it
	// reaches none, and fails to reach some.
	reaching, cutOff bool
	// asked is the request to look again that stood beside the report.
	asked     protocol.Recheck
	renewTime time.Time
	// changed is when the observer last said something new.
	changed   time.Time
	heartbeat time.Duration
	// size is that of the cluster, in nodes, as the observer was told, and turn how long
	// all its pairs take it at the most probes per second.
	size     int
	turn     time.Duration
	stale    bool
	standing standing
	// disputed is on how many of the addresses there is a doubt.
	disputed int
	view     view
}

// NewMatrix returns an empty Matrix.
func NewMatrix() *Matrix {
	return &Matrix{
		reports:   make(map[string]*entry),
		observers: make(map[netip.Addr][]*entry),
		outside:   make(map[netip.Addr][]*entry),
		apps:      make(map[types.NamespacedName]*subject),
		doubted:   make(map[netip.Addr]int),
		requests:  make(chan struct{}, 1),
	}
}

// Know takes note of the Nodes there are, in the order of the verdicts.
func (m *Matrix) Know(nodes []Node) {
	alive := make(map[string]bool, len(nodes))
	sites := make(map[netip.Addr]*site, len(nodes))
	for i := range nodes {
		alive[nodes[i].Name] = true
		for _, address := range nodes[i].Addresses {
			sites[address] = &site{address: address, text: address.String()}
		}
	}
	places := make([]place, len(nodes))
	for i := range nodes {
		places[i] = placeOf(nodes[i], sites)
	}
	m.judging.Lock()
	defer m.judging.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes, m.alive, m.sites, m.census = places, alive, sites, nil
	m.size.Store(int64(len(nodes)))
	for _, entry := range m.reports {
		entry.alive = alive[entry.name]
	}
	for _, app := range m.apps {
		m.releaseWhere(app, func(address netip.Addr) bool { return sites[address] == nil })
	}
}

// Nodes returns how many Nodes there are.
func (m *Matrix) Nodes() int { return int(m.size.Load()) }

// Observe takes note of an app as it is now.
func (m *Matrix) Observe(key types.NamespacedName, app App, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.apps[key]
	if before == nil || before.Service != app.Service {
		m.reexamineAll()
		m.releaseAll(before)
	}
	m.apps[key] = before.follow(app, now)
}

// Forget drops an app.
func (m *Matrix) Forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reexamineAll()
	m.releaseAll(m.apps[key])
	delete(m.apps, key)
}

// Fold folds in an observer's report and returns the apps on which its word may have
// changed. One that cannot be read replaces the former one and says nothing. Nor does one
// that was folded in before: a list brings again what is known.
func (m *Matrix) Fold(received *Report, now time.Time) []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.reports[received.Name]
	if before != nil && before.is(received) {
		return nil
	}
	next := before.follow(received, now)
	next.alive = m.alive[received.Name]
	touched := m.touched(received.Name, before, next)
	m.replace(received.Name, before, next)
	if m.postponed && before != nil && next.RecheckRound > before.RecheckRound {
		m.request()
	}
	return touched
}

// Reports returns the newest report of every observer, by name. Nobody may change them.
func (m *Matrix) Reports() []*Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	reports := make([]*Report, 0, len(m.reports))
	for _, entry := range m.reports {
		reports = append(reports, entry.received)
	}
	slices.SortFunc(reports, func(a, b *Report) int { return strings.Compare(a.Name, b.Name) })
	return reports
}

// ReportOf returns the newest report of an observer, nil if there is none.
func (m *Matrix) ReportOf(observer string) *Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	if entry := m.reports[observer]; entry != nil {
		return entry.received
	}
	return nil
}

// Remove drops an observer and returns the apps on which it had a word.
func (m *Matrix) Remove(observer string) []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.reports[observer]
	if before == nil {
		return nil
	}
	m.replace(observer, before, nil)
	return m.touched(observer, before, nil)
}

// Expire silences the reports that became stale and returns the apps on which
// they had a word.
func (m *Matrix) Expire(now time.Time) []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.deaf.IsZero() {
		return nil
	}
	touched := make(map[types.NamespacedName]struct{})
	for observer, entry := range m.reports {
		if entry.stale || now.Sub(entry.at) < protocol.StaleAfter*entry.heartbeat {
			continue
		}
		for _, key := range m.touched(observer, entry, nil) {
			touched[key] = struct{}{}
		}
		entry.stale = true
		m.reopen(entry.Addresses)
	}
	keys := make([]types.NamespacedName, 0, len(touched))
	for key := range touched {
		keys = append(keys, key)
	}
	return keys
}

// Due returns the longest heartbeat of the reports that would become stale now, 0 where
// none would.
func (m *Matrix) Due(now time.Time) (heartbeat time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.deaf.IsZero() {
		return 0
	}
	for _, entry := range m.reports {
		if !entry.stale && now.Sub(entry.at) >= protocol.StaleAfter*entry.heartbeat {
			heartbeat = max(heartbeat, entry.heartbeat)
		}
	}
	return heartbeat
}

// Deafen stops the time by which reports go stale, because no new ones can be
// heard. Of what was heard before, that says nothing.
func (m *Matrix) Deafen(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deaf.IsZero() {
		m.deaf = now
	}
}

// Hear ends that. Observers have as long to renew their reports as they had left.
func (m *Matrix) Hear(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deaf.IsZero() {
		return
	}
	for _, entry := range m.reports {
		if entry.at = entry.at.Add(now.Sub(m.deaf)); entry.at.After(now) {
			entry.at = now
		}
	}
	m.deaf = time.Time{}
}

// follow returns the entry after another report came. On the first sight of
// one, which may be long after it was written, its age counts by the node's
// clock; from then on by the operator's, so that clocks that differ do no harm.
func (e *entry) follow(received *Report, now time.Time) *entry {
	object := &received.NodeReachability
	next := &entry{
		report:    received.said,
		received:  received,
		at:        now,
		name:      object.Name,
		outside:   object.Outside(),
		own:       ownAddresses(object),
		heartbeat: protocol.Heartbeat(object.Spec.HeartbeatSeconds),
		size:      int(object.Spec.ClusterSize),
	}
	next.reaching, next.cutOff = next.reach()
	pairs := next.NodePorts.Len() * len(next.Addresses)
	next.turn = time.Duration(pairs) * time.Second / budget.PerAgent
	// A request that cannot be read asks for nothing.
	next.asked, _ = protocol.DecodeRecheck(object.Spec.Recheck)
	if object.Status.RenewTime != nil {
		next.renewTime = object.Status.RenewTime.Time
	}
	switch {
	case e == nil && next.renewTime.Before(now):
		next.at = next.renewTime
	case e != nil && next.renewTime.Equal(e.renewTime):
		next.at = e.at
	}
	if e != nil {
		next.changed = e.changed
		if !differing(e.report, next.report).IsEmpty() {
			next.changed = now
		}
	}
	next.stale = now.Sub(next.at) >= protocol.StaleAfter*next.heartbeat
	return next
}

// is reports whether the entry was made of a report.
func (e *entry) is(other *Report) bool {
	return other.ResourceVersion != "" && e.received.UID == other.UID && e.received.ResourceVersion == other.ResourceVersion
}

func ownAddresses(object *v1alpha1.NodeReachability) (own []netip.Addr) {
	for _, target := range object.Spec.Targets {
		if target.Node != object.Name {
			continue
		}
		for _, text := range target.Addresses {
			if address, err := netip.ParseAddr(text); err == nil {
				own = append(own, address)
			}
		}
	}
	return own
}

func (m *Matrix) replace(observer string, before, next *entry) {
	byName := func(e *entry, name string) int { return strings.Compare(e.name, name) }
	if before != nil {
		m.reopen(before.Addresses)
		index := m.indexOf(before)
		for _, address := range before.Addresses {
			others := index[address]
			if i, found := slices.BinarySearchFunc(others, observer, byName); found {
				others = slices.Delete(others, i, i+1)
			}
			if len(others) == 0 {
				delete(index, address)
				continue
			}
			index[address] = others
		}
	}
	if next == nil {
		delete(m.reports, observer)
		return
	}
	m.reports[observer] = next
	m.reopen(next.Addresses)
	index := m.indexOf(next)
	for _, address := range next.Addresses {
		if m.doubted[address] > 0 && !next.outside {
			next.disputed++
		}
		i, _ := slices.BinarySearchFunc(index[address], observer, byName)
		index[address] = slices.Insert(index[address], i, next)
	}
}

// indexOf returns where an observer is found by the addresses that it dials.
func (m *Matrix) indexOf(e *entry) map[netip.Addr][]*entry {
	if e.outside {
		return m.outside
	}
	return m.observers
}

// touched returns the apps on which two successive reports of one observer
// differ, or for which the later one answers a request to look again.
func (m *Matrix) touched(observer string, before, next *entry) []types.NamespacedName {
	before, next = speaking(before), speaking(next)
	changed, newer := differing(before.report, next.report), next.ServicesVersion != before.ServicesVersion
	// Each of thousands of reports may touch thousands of apps: they are gathered in one
	// place, and handed out in no more room than they take.
	keys := m.touching[:0]
	for key, app := range m.apps {
		if changed.Contains(uint16(app.Service.NodePort)) ||
			newer && covers(next.ServicesVersion, app.since) != covers(before.ServicesVersion, app.since) ||
			app.awaits(observer, before.RecheckRound, next.RecheckRound) {
			keys = append(keys, key)
		}
	}
	m.touching = keys
	return slices.Clone(keys)
}

// speaking returns the entry, or an empty one in place of one that says nothing.
func speaking(e *entry) *entry {
	if e == nil || e.stale {
		return &entry{report: &report{}}
	}
	return e
}
