// Package applyerror says why a child of an ExposedApp is not as declared: it turns the API
// server's answers, and what the operator finds out before it asks, into a reason, a message
// with the way out, and when to try again. It makes no call.
package applyerror

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

const (
	// retryRefused is when the operator asks again for what a quota or a policy of the
	// cluster refuses. No event says that one of these changed; to watch the quotas
	// would take an event for every pod that comes and goes.
	retryRefused = 10 * time.Second

	// retryInvalid is when it asks again for what a human has to correct. Most of that is
	// known to be refused again, but a webhook may name fields as well.
	retryInvalid = 5 * time.Minute

	// RetryPassing is when to try again after an error that is about to pass, in case no
	// event says that it did.
	RetryPassing = 5 * time.Second
)

// Error is why a child is not as declared. It is nil where all is well.
type Error struct {
	// Reason is one of the API's.
	Reason string
	// Message says what is wrong and the way out.
	Message string
	// Stalled is whether a human must edit something before it can go on.
	Stalled bool
	// Cause is the API server's error where it did not come to a decision. What an
	// earlier try applied may well be all that is declared.
	Cause error
	// RetryAfter is when to try again without an event, 0 for never.
	RetryAfter time.Duration
}

// Err returns the error on which the controller backs off and tries again. What was
// decided is none: the operator sleeps until a watch wakes it, or for as long as RetryAfter.
func (e *Error) Err() error {
	if e == nil {
		return nil
	}
	return e.Cause
}

// IsStalled reports whether there is an error and a human must edit something.
func (e *Error) IsStalled() bool {
	return e != nil && e.Stalled
}

// Pause returns when to try again, 0 for never.
func (e *Error) Pause() time.Duration {
	if e == nil {
		return 0
	}
	return e.RetryAfter
}

// InvalidApp says that a field of the spec cannot be decoded.
func InvalidApp(problem string) *Error {
	return &Error{
		Reason:  v1alpha1.ReasonInvalidApp,
		Message: problem + ": correct that field of the ExposedApp, which nobody can read as it is",
		Stalled: true,
	}
}

// NameConflict says that an object of the child's name is somebody else's.
func NameConflict(kind, namespace, name string) *Error {
	return &Error{
		Reason: v1alpha1.ReasonNameConflict,
		Message: fmt.Sprintf("%s %s/%s exists and is not owned by this ExposedApp, so it is left alone: "+
			"delete or rename it, or give the ExposedApp another metadata.name", kind, namespace, name),
		Stalled: true,
	}
}

// NameOccupied says that an object of the child's name is on its way out.
func NameOccupied(kind, namespace, name, why string) *Error {
	return &Error{
		Reason:  v1alpha1.ReasonPending,
		Message: fmt.Sprintf("%s %s/%s %s: waiting until it is gone to make another", kind, namespace, name, why),
	}
}

// driftError is the API server's answer to an apply that it refuses for what others made
// of the child, and not for what is declared.
type driftError struct{ error }

func (e driftError) Unwrap() error { return e.error }

// Drifted marks an error as a driftError.
func Drifted(err error) error { return driftError{err} }

// ErrReplaced says that a child was deleted, to be made again as soon as it is gone.
var ErrReplaced = errors.New("it was changed in what cannot be changed back, and is being replaced")

// Of turns the API server's answer to a child into an Error.
func Of(kind string, err error) *Error {
	_, isDrift := errors.AsType[driftError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrReplaced):
		return &Error{Reason: v1alpha1.ReasonPending, Message: fmt.Sprintf("the %s: %v", kind, err), RetryAfter: RetryPassing}
	case isDrift:
		return &Error{
			Reason: v1alpha1.ReasonApplyFailed,
			Message: fmt.Sprintf("others changed the %s so that the API server refuses to have it as declared, trying again; "+
				"delete it, and the operator makes it anew: %v", kind, err),
			RetryAfter: retryRefused,
		}
	case NamesField(err):
		return &Error{
			Reason:     v1alpha1.ReasonInvalidApp,
			Message:    fmt.Sprintf("the API server refuses the %s, correct the ExposedApp's spec: %v", kind, err),
			Stalled:    true,
			RetryAfter: retryInvalid,
		}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &Error{
			Reason:  v1alpha1.ReasonApplyFailed,
			Message: fmt.Sprintf("the namespace is being deleted, so there will be no %s", kind),
		}
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err):
		return &Error{
			Reason:     v1alpha1.ReasonApplyFailed,
			Message:    fmt.Sprintf("the cluster refuses the %s, asking again every %v: %v", kind, retryRefused, err),
			RetryAfter: retryRefused,
		}
	default:
		return &Error{
			Reason:  v1alpha1.ReasonApplyFailed,
			Message: fmt.Sprintf("cannot apply the %s, trying again: %v", kind, err),
			Cause:   fmt.Errorf("apply %s: %w", kind, err),
		}
	}
}

// PortAdvice is what a human can do about a node port that is taken.
const PortAdvice = "free it there, set spec.nodePort to another port, or leave it out to have one picked"

// OfService turns the API server's answer to a Service with a node port into an Error.
func OfService(app *v1alpha1.ExposedApp, nodePort int32, err error) *Error {
	taken, outOfRange := PortCause(err, nodePort)
	switch {
	case taken:
		// Who holds it is not in the cache yet, or no longer: otherwise it was not asked for.
		return &Error{
			Reason:  v1alpha1.ReasonPortConflict,
			Message: fmt.Sprintf("%d is held by another Service: %s", nodePort, PortAdvice),
			Cause:   fmt.Errorf("node port %d is taken, and its holder is not known yet", nodePort),
		}
	case outOfRange != "" && app.Spec.NodePort != nil:
		return &Error{
			Reason: v1alpha1.ReasonPortOutOfRange,
			Message: fmt.Sprintf("node port %d: %s: set spec.nodePort to a port of that range, "+
				"or leave it out to have one picked", nodePort, outOfRange),
			Stalled:    true,
			RetryAfter: retryInvalid,
		}
	}
	return Of("Service", err)
}

// NamesField reports whether the API server says which field is wrong. A policy or a
// webhook that refuses an object as invalid does not.
func NamesField(err error) bool {
	for _, cause := range causes(err) {
		if cause.Field != "" {
			return true
		}
	}
	return false
}

// RefusesContent reports whether the API server refuses what an object would be, whoever is
// behind that. A node port that is there twice it takes for an error of its own.
func RefusesContent(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		status.ErrStatus.Code == http.StatusInternalServerError && strings.Contains(status.ErrStatus.Message, "duplicate"))
}

// Immutable reports whether the API server refuses to change what cannot be changed.
func Immutable(err error) bool {
	for _, cause := range causes(err) {
		switch {
		case strings.Contains(cause.Message, "field is immutable"),
			strings.Contains(cause.Message, "may not change once set"),
			strings.HasPrefix(cause.Field, "spec.clusterIP"):
			return true
		}
	}
	return false
}

// causes returns what the API server has against an object.
func causes(err error) []metav1.StatusCause {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || !apierrors.IsInvalid(err) || status.ErrStatus.Details == nil {
		return nil
	}
	return status.ErrStatus.Details.Causes
}

// PortCause returns what the API server has against a node port of a Service, or nothing
// where that is not what it refuses. The API server names the port by its index in
// the Service as it would have been, so the node port itself is looked for.
func PortCause(err error, nodePort int32) (taken bool, outOfRange string) {
	for _, cause := range causes(err) {
		if cause.Type != metav1.CauseTypeFieldValueInvalid || !isNodePort(cause.Field) ||
			!strings.Contains(cause.Message, fmt.Sprintf(": %d: ", nodePort)) {
			continue
		}
		// Only the text tells the two apart.
		if strings.Contains(cause.Message, "already allocated") {
			return true, ""
		}
		if strings.Contains(cause.Message, "not in the valid range") {
			return false, cause.Message
		}
	}
	return false, ""
}

// isNodePort reports whether a field is that of the node port of some port of a Service.
func isNodePort(field string) bool {
	return strings.HasPrefix(field, "spec.ports[") && strings.HasSuffix(field, "].nodePort")
}
