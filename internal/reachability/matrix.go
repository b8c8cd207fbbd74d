package reachability

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// Matrix holds the newest report of every observer and the apps that they are
// judged for. It is safe for concurrent use.
type Matrix struct {
	mu        sync.RWMutex
	reports   map[string]*entry
	observers map[netip.Addr][]string
	apps      map[types.NamespacedName]*subject
}

// entry is an observer's report and when it came.
type entry struct {
	*report
	renewTime time.Time
	received  time.Time
	lifetime  time.Duration
	stale     bool
}

// NewMatrix returns an empty Matrix.
func NewMatrix() *Matrix {
	return &Matrix{
		reports:   make(map[string]*entry),
		observers: make(map[netip.Addr][]string),
		apps:      make(map[types.NamespacedName]*subject),
	}
}

// Observe takes note of an app as it is now.
func (m *Matrix) Observe(key types.NamespacedName, app App, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apps[key] = m.apps[key].follow(app, now)
}

// Forget drops an app.
func (m *Matrix) Forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.apps, key)
}

// Report folds in an observer's report and returns the apps on which its word
// may have changed. A report that cannot be read replaces the former one and
// says nothing; the error tells why.
func (m *Matrix) Report(object *v1alpha1.NodeReachability, now time.Time) ([]types.NamespacedName, error) {
	decoded, err := decode(&object.Status)
	if err != nil {
		decoded = &report{}
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.reports[object.Name]
	next := before.follow(object, decoded, now)
	touched := m.touched(before, next)
	m.replace(object.Name, before, next)
	return touched, err
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
	return m.touched(before, nil)
}

// Expire silences the reports that became stale and returns the apps on which
// they had a word.
func (m *Matrix) Expire(now time.Time) []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	touched := make(map[types.NamespacedName]struct{})
	for _, entry := range m.reports {
		if entry.stale || now.Sub(entry.received) < entry.lifetime {
			continue
		}
		for _, key := range m.touched(entry, nil) {
			touched[key] = struct{}{}
		}
		entry.stale = true
	}
	keys := make([]types.NamespacedName, 0, len(touched))
	for key := range touched {
		keys = append(keys, key)
	}
	return keys
}

// follow returns the entry after another report came. On the first sight of
// one, which may be long after it was written, its age counts by the node's
// clock; from then on by the operator's, so that clocks that differ do no harm.
func (e *entry) follow(object *v1alpha1.NodeReachability, decoded *report, now time.Time) *entry {
	next := &entry{
		report:   decoded,
		received: now,
		lifetime: staleHeartbeats * time.Duration(object.Spec.HeartbeatSeconds) * time.Second,
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
	next.stale = now.Sub(next.received) >= next.lifetime
	return next
}

func (m *Matrix) replace(observer string, before, next *entry) {
	if before != nil {
		for address := range before.addresses {
			others := m.observers[address]
			if i := slices.Index(others, observer); i >= 0 {
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
	for address := range next.addresses {
		i, _ := slices.BinarySearch(m.observers[address], observer)
		m.observers[address] = slices.Insert(m.observers[address], i, observer)
	}
}

// touched returns the apps on which two successive reports of one observer
// differ.
func (m *Matrix) touched(before, next *entry) []types.NamespacedName {
	before, next = speaking(before), speaking(next)
	changed := differing(before.report, next.report)
	var keys []types.NamespacedName
	for key, app := range m.apps {
		if changed.Contains(uint16(app.Service.NodePort)) ||
			covers(next.version, app.since) != covers(before.version, app.since) {
			keys = append(keys, key)
		}
	}
	return keys
}

// speaking returns the entry, or an empty one in place of one that says nothing.
func speaking(e *entry) *entry {
	if e == nil || e.stale {
		return &entry{report: &report{}}
	}
	return e
}

// covers tells whether a report made with knowledge of the Services at version
// knew of since. What is said of an older state is no word on a newer one:
// another app may have held the port then.
func covers(version, since string) bool {
	order, err := resourceversion.CompareResourceVersion(version, since)
	return err == nil && order >= 0
}
