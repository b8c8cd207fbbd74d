package exposedapp

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// noResourceVersion is one that no object can have. An apply that carries it
// creates an object, but conflicts with one that exists: what is not ours is
// never touched, also when the cache has not seen it yet.
const noResourceVersion = "1"

// applyDeployment brings the Deployment to what is declared. It makes a request
// only when something differs.
func (r *Reconciler) applyDeployment(ctx context.Context, app *v1alpha1.ExposedApp) *refusal {
	const kind = "Deployment"
	live, refusal := get(ctx, r.Client, app, kind, &appsv1.Deployment{})
	if refusal != nil || suspended(app) {
		return refusal
	}
	declared := declaration{app: app.UID, generation: app.Generation}
	digest := func() digest { return wantedDigest(deployment(app)) }
	if live != nil && (live.DeletionTimestamp != nil || r.verified.asDeclared(kind, declared, live, digest)) {
		return nil
	}
	wanted := deployment(app)
	if live == nil {
		wanted.WithResourceVersion(noResourceVersion)
	} else {
		wanted.WithUID(live.UID)
	}
	if err := r.Client.Apply(ctx, wanted, client.ForceOwnership); err != nil {
		return refused(kind, err)
	}
	r.verified.applied(client.ObjectKeyFromObject(app), kind, declared, wanted.ResourceVersion)
	r.contests.setBack(live, ptr.Deref(app.Spec.App.Replicas, 1), r.Clock.Now())
	return nil
}

// applyService brings the Service to what is declared. It makes a request only
// when something differs.
func (r *Reconciler) applyService(ctx context.Context, app *v1alpha1.ExposedApp) *refusal {
	const kind = "Service"
	live, refusal := get(ctx, r.Client, app, kind, &corev1.Service{})
	if refusal != nil || suspended(app) {
		return refusal
	}
	nodePort := wantedPort(app, live)
	declared := declaration{app: app.UID, generation: app.Generation, nodePort: nodePort}
	digest := func() digest { return wantedDigest(service(app, nodePort)) }
	if live != nil && (live.DeletionTimestamp != nil || r.verified.asDeclared(kind, declared, live, digest)) {
		return nil
	}
	wanted := service(app, nodePort)
	if live == nil {
		wanted.WithResourceVersion(noResourceVersion)
	} else {
		wanted.WithUID(live.UID)
	}
	if nodePort != 0 && nodePort != heldPort(live) {
		if claim := r.olderClaim(app, nodePort); claim != nil {
			return claim
		}
	}
	if err := r.Client.Apply(ctx, wanted, client.ForceOwnership); err != nil {
		return r.refusedService(ctx, app, nodePort, err)
	}
	r.verified.applied(client.ObjectKeyFromObject(app), kind, declared, wanted.ResourceVersion)
	return nil
}

// get reads a child from the cache. It returns nil for one that does not exist,
// and a refusal for one that is somebody else's.
func get[T client.Object](
	ctx context.Context, reader client.Reader, app *v1alpha1.ExposedApp, kind string, into T,
) (child T, _ *refusal) {
	switch err := reader.Get(ctx, client.ObjectKeyFromObject(app), into); {
	case apierrors.IsNotFound(err):
		return child, nil
	case err != nil:
		return child, refused(kind, fmt.Errorf("read it from the cache: %w", err))
	case !metav1.IsControlledBy(into, app):
		return child, nameConflict(kind, app.Namespace, app.Name)
	}
	return into, nil
}

func suspended(app *v1alpha1.ExposedApp) bool {
	return ptr.Deref(app.Spec.Suspend, false)
}
