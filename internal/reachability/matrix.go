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
)

// Matrix holds the newest report of every observer and the apps that they are
// judged for. It is safe for concurrent use.
type Matrix struct {
	// judging is held while an app is judged, so that the nodes stay the same, and
	// taken before mu, which is let go in between for reports to be folded in.
	judging sync.Mutex

	inbox inbox

	mu        sync.Mutex
	reports   map[string]*entry
	observers map[netip.Addr][]*entry
	apps      map[types.NamespacedName]*subject

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
	// name is that of the observer, and alive whether there is such a Node.
	name  string
	alive bool
	// resourceVersion is that of the object.
	resourceVersion string
	// own are the addresses of the observer itself.
	own []netip.Addr
	// asked is the request to look again that stood beside the report.
	asked     exception
	round     int64
	renewTime time.Time
	received  time.Time
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
		inbox:     inbox{read: make(map[*v1alpha1.NodeReachability]reading)},
		reports:   make(map[string]*entry),
		observers: make(map[netip.Addr][]*entry),
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
	m.nodes, m.alive, m.sites = places, alive, sites
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

// Report folds in an observer's report and returns the apps on which its word
// may have changed. A report that cannot be read replaces the former one and
// says nothing; the error tells why. Nor does one that was folded in before: an informer
// hands over again what it has.
func (m *Matrix) Report(object *v1alpha1.NodeReachability, now time.Time) ([]types.NamespacedName, error) {
	received := m.inbox.take(object)

	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.reports[object.Name]
	if before != nil && before.is(object) {
		return nil, nil
	}
	next := before.follow(object, received.report, now)
	next.alive = m.alive[object.Name]
	touched := m.touched(object.Name, before, next)
	m.replace(object.Name, before, next)
	if m.postponed && before != nil && next.recheckRound > before.recheckRound {
		m.request()
	}
	return touched, received.err
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
		if entry.stale || now.Sub(entry.received) < staleHeartbeats*entry.heartbeat {
			continue
		}
		for _, key := range m.touched(observer, entry, nil) {
			touched[key] = struct{}{}
		}
		entry.stale = true
		m.reopen(entry.addresses)
	}
	keys := make([]types.NamespacedName, 0, len(touched))
	for key := range touched {
		keys = append(keys, key)
	}
	return keys
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
		entry.received = entry.received.Add(now.Sub(m.deaf))
	}
	m.deaf = time.Time{}
}

// follow returns the entry after another report came. On the first sight of
// one, which may be long after it was written, its age counts by the node's
// clock; from then on by the operator's, so that clocks that differ do no harm.
func (e *entry) follow(object *v1alpha1.NodeReachability, decoded *report, now time.Time) *entry {
	next := &entry{
		report:          decoded,
		name:            object.Name,
		resourceVersion: object.ResourceVersion,
		own:             ownAddresses(object),
		received:        now,
		heartbeat:       time.Duration(object.Spec.HeartbeatSeconds) * time.Second,
		size:            int(object.Spec.ClusterSize),
	}
	pairs := decoded.nodePorts.Len() * len(decoded.addresses)
	next.turn = time.Duration(pairs) * time.Second / budget.PerAgent
	if recheck := object.Spec.Recheck; recheck != nil {
		next.round = recheck.Round
		// A request that cannot be read asks for nothing.
		next.asked, _ = decodeException(recheck.NodePorts, recheck.Addresses)
	}
	if object.Status.RenewTime != nil {
		next.renewTime = object.Status.RenewTime.Time
	}
	switch {
	case e == nil && next.renewTime.Before(now):
		next.received = next.renewTime
	case e != nil && next.renewTime.Equal(e.renewTime):
		next.received = e.received
	}
	if e != nil {
		next.changed = e.changed
		if !differing(e.report, next.report).IsEmpty() {
			next.changed = now
		}
	}
	next.stale = now.Sub(next.received) >= staleHeartbeats*next.heartbeat
	return next
}

// is tells whether the entry was made of an object.
func (e *entry) is(object *v1alpha1.NodeReachability) bool {
	return e.resourceVersion != "" && e.resourceVersion == object.ResourceVersion
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
		m.reopen(before.addresses)
		for _, address := range before.addresses {
			others := m.observers[address]
			if i, found := slices.BinarySearchFunc(others, observer, byName); found {
				others = slices.Delete(others, i, i+1)
			}
			if len(others) == 0 {
				delete(m.observers, address)
				continue
			}
			m.observers[address] = others
		}
	}
	if next == nil {
		delete(m.reports, observer)
		return
	}
	m.reports[observer] = next
	m.reopen(next.addresses)
	for _, address := range next.addresses {
		if m.doubted[address] > 0 {
			next.disputed++
		}
		i, _ := slices.BinarySearchFunc(m.observers[address], observer, byName)
		m.observers[address] = slices.Insert(m.observers[address], i, next)
	}
}

// touched returns the apps on which two successive reports of one observer
// differ, or for which the later one answers a request to look again.
func (m *Matrix) touched(observer string, before, next *entry) []types.NamespacedName {
	before, next = speaking(before), speaking(next)
	changed, newer := differing(before.report, next.report), next.version != before.version
	// Each of thousands of reports may touch thousands of apps: they are gathered in one
	// place, and handed out in no more room than they take.
	keys := m.touching[:0]
	for key, app := range m.apps {
		if changed.Contains(uint16(app.Service.NodePort)) ||
			newer && covers(next.version, app.since) != covers(before.version, app.since) ||
			app.awaits(observer, before.recheckRound, next.recheckRound) {
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
