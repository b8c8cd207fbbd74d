package nodereachability

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// ownWrites knows what was written of NodeReachabilities until the feed of reports shows
// it, so that nothing is written twice. It is safe for concurrent use.
type ownWrites struct {
	mu     sync.Mutex
	byName map[string]*v1alpha1.NodeReachability
}

// applied notes what was written.
func (o *ownWrites) applied(made *v1alpha1.NodeReachability) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byName == nil {
		o.byName = make(map[string]*v1alpha1.NodeReachability)
	}
	o.byName[made.Name] = made
}

// newest returns what was written of a NodeReachability where that is newer than what the
// feed shows of it, and forgets it where it is not.
func (o *ownWrites) newest(shown *v1alpha1.NodeReachability) *v1alpha1.NodeReachability {
	o.mu.Lock()
	defer o.mu.Unlock()
	written := o.byName[shown.Name]
	if written == nil {
		return shown
	}
	order, err := resourceversion.CompareResourceVersion(shown.ResourceVersion, written.ResourceVersion)
	if err == nil && order < 0 {
		return written
	}
	delete(o.byName, shown.Name)
	return shown
}
