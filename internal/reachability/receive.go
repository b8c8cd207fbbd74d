package reachability

import (
	"sync"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// inbox has the reports that were read as they came into a cache, and are not folded in
// yet.
type inbox struct {
	mu   sync.Mutex
	read map[*v1alpha1.NodeReachability]reading
}

// reading is what a report was read as, or why it cannot be read.
type reading struct {
	report *report
	err    error
}

// Receive reads a report that is about to come into a cache, and leaves of its status
// what others than the Matrix use. As text and as it is read, the reports of thousands
// of agents would be most of what the operator has in memory. The object is to be given
// to Report then. An informer may receive it twice before that.
func (m *Matrix) Receive(object *v1alpha1.NodeReachability) {
	m.inbox.mu.Lock()
	defer m.inbox.mu.Unlock()
	if _, known := m.inbox.read[object]; known {
		return
	}
	m.inbox.read[object] = read(object)
	object.Status = v1alpha1.NodeReachabilityStatus{
		RenewTime: object.Status.RenewTime,
		Probes:    object.Status.Probes,
	}
}

// Discard forgets what a report was read as that is not to be given to Report: it came
// with the news that it is gone.
func (m *Matrix) Discard(object *v1alpha1.NodeReachability) {
	m.inbox.mu.Lock()
	defer m.inbox.mu.Unlock()
	delete(m.inbox.read, object)
}

// take returns what an object was read as when it was received. One that was not, is
// read now.
func (b *inbox) take(object *v1alpha1.NodeReachability) reading {
	b.mu.Lock()
	received, known := b.read[object]
	delete(b.read, object)
	b.mu.Unlock()
	if known {
		return received
	}
	return read(object)
}

func read(object *v1alpha1.NodeReachability) reading {
	decoded, err := decode(&object.Status)
	if err != nil {
		decoded = &report{}
	}
	return reading{decoded, err}
}
