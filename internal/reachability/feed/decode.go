package feed

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/compact"
	"github.com/exposedapp/exposedapp/internal/listwatch"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// decode reads a report from its JSON. What an agent writes is data of a node: where it
// cannot be decoded, that observer says nothing, and no other is concerned.
func decode(body []byte) runtime.Object {
	object := &v1alpha1.NodeReachability{}
	if err := utiljson.Unmarshal(body, object); err != nil {
		report := reachability.Unreadable(readable(body))
		trim(&report.NodeReachability)
		return report
	}
	trim(object)
	return reachability.Read(object)
}

// readable returns what can be read of a NodeReachability that cannot be decoded as a
// whole, and why it cannot.
func readable(body []byte) (*v1alpha1.NodeReachability, error) {
	var sections struct {
		metav1.ObjectMeta `json:"metadata"`
		Spec              json.RawMessage `json:"spec"`
	}
	// The API server decodes the metadata of every object itself.
	_ = utiljson.Unmarshal(body, &sections)
	object := &v1alpha1.NodeReachability{ObjectMeta: sections.ObjectMeta}
	if len(sections.Spec) > 0 && utiljson.Unmarshal(sections.Spec, &object.Spec) != nil {
		object.Spec = v1alpha1.NodeReachabilitySpec{}
	}
	field, err := listwatch.Culprit(body, func(value json.RawMessage) error {
		return utiljson.Unmarshal(value, &v1alpha1.NodeReachability{})
	})
	return object, fmt.Errorf("%s: %w", field[min(1, len(field)):], err)
}

// trim keeps what is read, in no more room than that takes. Thousands of observers tell
// of the same few errors.
func trim(object *v1alpha1.NodeReachability) {
	object.ManagedFields = nil
	object.Spec.Targets = compact.Shrink(object.Spec.Targets)
	for i := range object.Spec.Targets {
		object.Spec.Targets[i].Addresses = compact.Shrink(object.Spec.Targets[i].Addresses)
	}
	compact.Intern(&object.Labels, &object.OwnerReferences, &object.Spec.Targets)
	for i := range object.Status.Failures {
		failure := &object.Status.Failures[i]
		compact.Intern(&failure.Reason, &failure.Message, &failure.Evidence)
	}
}
