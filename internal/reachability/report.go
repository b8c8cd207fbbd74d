package reachability

import (
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability/results"
)

// Report is a NodeReachability that was read, with what the operator keeps of it. As
// text, the reports of thousands of agents would be most of what it has in memory.
type Report struct {
	// NodeReachability has of its status what others than the State use: when the
	// report was renewed, and the counts of the probes.
	v1alpha1.NodeReachability

	results *results.Results
	err     error
}

// Read reads a NodeReachability, which is the Report's from then on. One that cannot be
// read says nothing; Err tells why.
func Read(object *v1alpha1.NodeReachability) *Report {
	decoded, err := protocol.DecodeReport(object)
	if err != nil {
		return Unreadable(object, err)
	}
	object.Status = v1alpha1.NodeReachabilityStatus{RenewTime: object.Status.RenewTime, Probes: object.Status.Probes}
	return &Report{NodeReachability: *object, results: results.Of(decoded)}
}

// Unreadable returns a Report that says nothing, for the reason of err.
func Unreadable(object *v1alpha1.NodeReachability, err error) *Report {
	object.Status = v1alpha1.NodeReachabilityStatus{RenewTime: object.Status.RenewTime}
	return &Report{NodeReachability: *object, results: &results.Results{}, err: err}
}

// Err returns why the report cannot be read, nil where it can.
func (r *Report) Err() error { return r.err }

// DeepCopyObject implements runtime.Object. What was read is never changed, and shared.
func (r *Report) DeepCopyObject() runtime.Object {
	return &Report{NodeReachability: *r.DeepCopy(), results: r.results, err: r.err}
}
