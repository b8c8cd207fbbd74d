package exposedapp

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

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
	live, refusal := getToApply(ctx, r.Client, app, kind, &appsv1.Deployment{})
	if refusal != nil || suspended(app) {
		return refusal
	}
	declared := declaration{app: app.UID, generation: app.Generation}
	digest := func() digest { return wantedDigest(deployment(app)) }
	key, asked := childKey{client.ObjectKeyFromObject(app), kind}, matter{declaration: declared}
	var uid types.UID
	if live != nil {
		if uid, asked.version = live.UID, live.ResourceVersion; r.verified.asDeclared(kind, declared, live, digest) {
			return nil
		}
	}
	if refusal := r.verified.decided(key, asked, r.Clock.Now()); refusal != nil {
		return refusal
	}
	answer, err := r.deploymentChild(app).bring(ctx, uid)
	if refusal := r.verified.decide(key, asked, refused(kind, err), r.Clock.Now()); refusal != nil {
		return refusal
	}
	r.verified.applied(client.ObjectKeyFromObject(app), kind, declared, answer.ResourceVersion)
	r.contests.setBack(live, ptr.Deref(app.Spec.App.Replicas, 1), r.Clock.Now())
	return nil
}

func (r *Reconciler) deploymentChild(
	app *v1alpha1.ExposedApp,
) *child[*appsv1ac.DeploymentApplyConfiguration, *appsv1.Deployment] {
	wanted := func() *appsv1ac.DeploymentApplyConfiguration { return deployment(app) }
	return &child[*appsv1ac.DeploymentApplyConfiguration, *appsv1.Deployment]{
		Reconciler: r,
		apiVersion: appsv1.SchemeGroupVersion.String(),
		key:        client.ObjectKeyFromObject(app),
		blank:      func() *appsv1.Deployment { return &appsv1.Deployment{} },
		wanted:     wanted,
		fresh:      wanted,
		inTheWay:   func(live *appsv1.Deployment) *fieldpath.Set { return deploymentInTheWay(live, app) },
		bystander:  func(fieldpath.Path) bool { return false },
		lettingGo:  func(live *appsv1.Deployment) metav1.DeletionPropagation { return lettingGoOf(live, app) },
	}
}

// applyService brings the Service to what is declared. It makes a request only
// when something differs.
func (r *Reconciler) applyService(ctx context.Context, app *v1alpha1.ExposedApp) *refusal {
	const kind = "Service"
	live, refusal := getToApply(ctx, r.Client, app, kind, &corev1.Service{})
	if refusal != nil || suspended(app) {
		return refusal
	}
	nodePort, refusal := r.portToAskFor(ctx, app, live)
	if refusal != nil {
		return refusal
	}
	declared := declaration{app: app.UID, generation: app.Generation}
	digest := func() digest { return wantedDigest(service(app, 0)) }
	key, asked := childKey{client.ObjectKeyFromObject(app), kind}, matter{declaration: declared, nodePort: nodePort}
	var uid types.UID
	if live != nil {
		uid, asked.version = live.UID, live.ResourceVersion
		if nodePort == heldPort(live) && r.verified.asDeclared(kind, declared, live, digest) {
			return nil
		}
	}
	if refusal := r.verified.decided(key, asked, r.Clock.Now()); refusal != nil {
		return refusal
	}
	answer, err := r.serviceChild(app, nodePort).bring(ctx, uid)
	if refusal := r.verified.decide(key, asked, r.refusedService(app, nodePort, err), r.Clock.Now()); refusal != nil {
		return refusal
	}
	r.verified.applied(client.ObjectKeyFromObject(app), kind, declared, answer.ResourceVersion)
	return nil
}

func (r *Reconciler) serviceChild(
	app *v1alpha1.ExposedApp, nodePort int32,
) *child[*corev1ac.ServiceApplyConfiguration, *corev1.Service] {
	return &child[*corev1ac.ServiceApplyConfiguration, *corev1.Service]{
		Reconciler: r,
		apiVersion: corev1.SchemeGroupVersion.String(),
		key:        client.ObjectKeyFromObject(app),
		blank:      func() *corev1.Service { return &corev1.Service{} },
		wanted:     func() *corev1ac.ServiceApplyConfiguration { return service(app, nodePort) },
		fresh:      func() *corev1ac.ServiceApplyConfiguration { return service(app, 0) },
		inTheWay:   func(live *corev1.Service) *fieldpath.Set { return serviceInTheWay(live, app, nodePort) },
		bystander:  serviceBystander(app),
		lettingGo:  func(*corev1.Service) metav1.DeletionPropagation { return metav1.DeletePropagationBackground },
	}
}

// getToApply reads a child that is to be brought to what is declared. It returns a refusal
// as well for one that is being deleted.
func getToApply[T client.Object](
	ctx context.Context, reader client.Reader, app *v1alpha1.ExposedApp, kind string, into T,
) (child T, _ *refusal) {
	child, refusal := get(ctx, reader, app, kind, into)
	if refusal == nil && !suspended(app) && into.GetDeletionTimestamp() != nil {
		return child, inItsPlace(kind, app.Namespace, app.Name, "is being deleted")
	}
	return child, refusal
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
	case metav1.IsControlledBy(into, app):
		return into, nil
	case into.GetDeletionTimestamp() != nil:
		return child, inItsPlace(kind, app.Namespace, app.Name, "is somebody else's and is being deleted")
	case ofFormerApp(into, app):
		return child, inItsPlace(kind, app.Namespace, app.Name, "is of a former ExposedApp of this name, and about to be deleted")
	default:
		return child, nameConflict(kind, app.Namespace, app.Name)
	}
}

// ofFormerApp tells whether an object is controlled by another ExposedApp of an app's name,
// which can only be one before it: the garbage collector is on its way.
func ofFormerApp(object client.Object, app *v1alpha1.ExposedApp) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && isExposedApp(owner) && owner.Name == app.Name && owner.UID != app.UID
}

func suspended(app *v1alpha1.ExposedApp) bool {
	return ptr.Deref(app.Spec.Suspend, false)
}
