package reachability

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// Report reads a report and folds it in.
func (m *Matrix) Report(object *v1alpha1.NodeReachability, now time.Time) ([]types.NamespacedName, error) {
	received := Read(object.DeepCopy())
	return m.Fold(received, now), received.Err()
}
