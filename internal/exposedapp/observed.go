package exposedapp

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// observed is everything that a status is made of. A child that is missing or
// somebody else's is nil; its refusal says why it is not as declared.
type observed struct {
	deployment        *appsv1.Deployment
	deploymentRefusal *applyerror.Error
	service           *corev1.Service
	serviceRefusal    *applyerror.Error
	endpoints         reachability.Endpoints
	verdicts          []v1alpha1.NodeVerdict

	// trouble is why pods are not ready, and rival who sets the Deployment's replicas
	// again and again. Both are empty where that is not known.
	trouble, rival string
}

// holdback returns the refusal by which what is declared is not there. A try
// that failed does no harm to what an earlier one applied.
func (o *observed) holdback(app *v1alpha1.ExposedApp) *applyerror.Error {
	applied := app.Status.ObservedGeneration == app.Generation
	if o.deploymentRefusal != nil && (o.deploymentRefusal.Cause == nil || o.deployment == nil || !applied) {
		return o.deploymentRefusal
	}
	if o.serviceRefusal != nil && (o.serviceRefusal.Cause == nil || o.service == nil || !applied) {
		return o.serviceRefusal
	}
	return nil
}

// applied tells whether both children are as declared, or never will be unless a
// human edits something.
func (o *observed) applied() bool {
	return o.deploymentRefusal.Err() == nil && o.serviceRefusal.Err() == nil
}
