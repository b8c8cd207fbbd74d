package appstatus

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// Observed is everything that a status is made of. A child that is missing or
// somebody else's is nil; its error says why it is not as declared.
type Observed struct {
	Deployment      *appsv1.Deployment
	DeploymentError *applyerror.Error
	Service         *corev1.Service
	ServiceError    *applyerror.Error
	Endpoints       reachability.Endpoints
	Verdicts        []v1alpha1.NodeVerdict

	// PodTrouble is why pods are not ready, and Rival who sets the Deployment's replicas
	// again and again. Both are empty where that is not known.
	PodTrouble, Rival string
}

// blockingError returns the error that keeps the app from being as declared. An apply that
// failed does not change what an earlier one applied.
func (o *Observed) blockingError(app *v1alpha1.ExposedApp) *applyerror.Error {
	applied := app.Status.ObservedGeneration == app.Generation
	if o.DeploymentError != nil && (o.DeploymentError.Cause == nil || o.Deployment == nil || !applied) {
		return o.DeploymentError
	}
	if o.ServiceError != nil && (o.ServiceError.Cause == nil || o.Service == nil || !applied) {
		return o.ServiceError
	}
	return nil
}

// applied reports whether both children are as declared, or never will be unless a
// human edits something.
func (o *Observed) applied() bool {
	return o.DeploymentError.Err() == nil && o.ServiceError.Err() == nil
}
