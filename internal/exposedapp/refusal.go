package exposedapp

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// refusal is why a child is not as declared. It is nil where all is well.
type refusal struct {
	// reason is one of the API's.
	reason string
	// message says what is wrong and the way out.
	message string
	// stalled is whether a human must edit something before it can go on.
	stalled bool
	// retry is the API server's error where another try may help.
	retry error
}

// err returns the error on which the controller backs off and tries again. A
// user's mistake is none: the operator sleeps until a watch wakes it.
func (r *refusal) err() error {
	if r == nil {
		return nil
	}
	return r.retry
}

func (r *refusal) isStalled() bool {
	return r != nil && r.stalled
}

// nameConflict says that an object of the child's name is somebody else's.
func nameConflict(kind, namespace, name string) *refusal {
	return &refusal{
		reason: v1alpha1.ReasonNameConflict,
		message: fmt.Sprintf("%s %s/%s exists and is not owned by this ExposedApp, so it is left alone: "+
			"delete or rename it, or give the ExposedApp another metadata.name", kind, namespace, name),
		stalled: true,
	}
}

// refused turns the API server's answer to a child into a refusal.
func refused(kind string, err error) *refusal {
	switch {
	case err == nil:
		return nil
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		return &refusal{
			reason:  v1alpha1.ReasonInvalidApp,
			message: fmt.Sprintf("the API server refuses the %s, correct the ExposedApp's spec: %v", kind, err),
			stalled: true,
		}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &refusal{
			reason:  v1alpha1.ReasonApplyFailed,
			message: fmt.Sprintf("the namespace is being deleted, so there will be no %s", kind),
		}
	default:
		return &refusal{
			reason:  v1alpha1.ReasonApplyFailed,
			message: fmt.Sprintf("cannot apply the %s, trying again: %v", kind, err),
			retry:   fmt.Errorf("apply %s: %w", kind, err),
		}
	}
}

// portCause returns what the API server has against the Service's node port, or
// nothing where that is not what it refuses.
func portCause(err error) (taken bool, outOfRange string) {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || !apierrors.IsInvalid(err) || status.ErrStatus.Details == nil {
		return false, ""
	}
	for _, cause := range status.ErrStatus.Details.Causes {
		if cause.Type != metav1.CauseTypeFieldValueInvalid || cause.Field != "spec.ports[0].nodePort" {
			continue
		}
		// The API server tells the two apart by its text alone.
		if strings.Contains(cause.Message, "already allocated") {
			return true, ""
		}
		if strings.Contains(cause.Message, "not in the valid range") {
			return false, cause.Message
		}
	}
	return false, ""
}
