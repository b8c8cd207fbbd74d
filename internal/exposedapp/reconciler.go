// Package exposedapp turns an ExposedApp into a Deployment and a NodePort
// Service, and writes back what is true of them: the conditions, and the verdict
// of every node on whether it answers.
//
// Reconcile acts, observes and reports. What to make (workload.go) and what to
// say (status.go, conditions.go, rollout.go) are pure functions; the API server
// is met in children.go, repair.go, claims.go, swap.go, observe.go and looks.go alone. All
// reads are from the cache, which shows the operator its own writes, but for those of
// pods.
package exposedapp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/feed"
	"github.com/exposedapp/exposedapp/internal/statuspatch"
)

// Reconciler reconciles ExposedApps.
type Reconciler struct {
	// Client reads from the cache and owns its fields as v1alpha1.OperatorName.
	Client client.Client
	// Recorder records an Event for every transition of a condition or a node.
	Recorder events.EventRecorder
	// Matrix holds the reports of the agents, and Reports feeds it.
	Matrix  *reachability.Matrix
	Reports *feed.Reports
	Clock   clock.PassiveClock
	// ExpectedNodes selects the nodes that are expected to answer for any ExposedApp.
	// All are if it is nil.
	ExpectedNodes labels.Selector

	// slices finds EndpointSlices by their Service, and claims ExposedApps by the node
	// port that they ask for.
	slices lookup[*discoveryv1.EndpointSlice]
	claims lookup[*v1alpha1.ExposedApp]
	// services are all that the cache has.
	services toolscache.Store

	// direct reads from the API server, and does what the cache need not show.
	direct client.Client
	// rotating is held while apps change node ports with each other.
	rotating sync.Mutex

	throttle *throttle
	events   *rate.Limiter
	verified *verified
	looks    *looks
	contests *contests
	retries  *retries

	// verdicts are those on the last app that was judged. On thousands of nodes they
	// take a megabyte, so those on the next are written over them.
	verdicts []v1alpha1.NodeVerdict
	judging  sync.Mutex
}

// Reconcile brings one ExposedApp's children to what is declared and writes its
// status, also when a child was refused.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var app v1alpha1.ExposedApp
	switch err := r.Client.Get(ctx, request.NamespacedName, &app); {
	case apierrors.IsNotFound(err):
		r.Matrix.Forget(request.NamespacedName)
		r.throttle.forget(request.NamespacedName)
		r.verified.forget(request.NamespacedName)
		r.looks.forget(request.NamespacedName)
		r.contests.forget(request.NamespacedName)
		r.retries.after(request.NamespacedName, 0, r.Clock.Now())
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("get exposed app: %w", err)
	case app.DeletionTimestamp != nil:
		return reconcile.Result{}, nil
	}

	seen := r.act(ctx, &app)
	refused := errors.Join(seen.deploymentRefusal.err(), seen.serviceRefusal.err())
	if err := r.observe(ctx, &app, seen); err != nil {
		return reconcile.Result{}, errors.Join(refused, err)
	}
	now := r.Clock.Now()
	again := soonest(r.inquire(ctx, &app, seen, now), r.retries.after(request.NamespacedName,
		soonest(seen.deploymentRefusal.pause(), seen.serviceRefusal.pause()), now))
	next, holds := r.judge(&app, seen, now)
	holds = soonest(holds, again)
	if pause := r.throttle.wait(request.NamespacedName, &app.Status, &next, now); pause > 0 {
		return reconcile.Result{RequeueAfter: soonest(pause, holds)}, refused
	}
	if equality.Semantic.DeepEqual(app.Status, next) {
		return reconcile.Result{RequeueAfter: holds}, refused
	}
	return reconcile.Result{RequeueAfter: holds}, errors.Join(refused, r.report(ctx, &app, next))
}

// soonest returns the shortest of some times, of which those of 0 are none.
func soonest(times ...time.Duration) time.Duration {
	times = slices.DeleteFunc(times, func(t time.Duration) bool { return t == 0 })
	if len(times) == 0 {
		return 0
	}
	return slices.Min(times)
}

// act brings the children to what is declared.
func (r *Reconciler) act(ctx context.Context, app *v1alpha1.ExposedApp) *observed {
	if refusal := unreadable(app); refusal != nil {
		return &observed{deploymentRefusal: refusal, serviceRefusal: refusal}
	}
	return &observed{
		deploymentRefusal: r.applyDeployment(ctx, app),
		serviceRefusal:    r.applyService(ctx, app),
	}
}

// report writes a status that changed, and tells of the transitions. Where the ExposedApp
// changed meanwhile, what was found may not be true of it any more: nothing is written, and
// the change, which the cache is about to show, has it reconciled again.
func (r *Reconciler) report(ctx context.Context, app *v1alpha1.ExposedApp, next v1alpha1.ExposedAppStatus) error {
	patch, err := statuspatch.OfVersion(app.UID, app.ResourceVersion, next)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	err = r.patchStatus(ctx, app, client.RawPatch(types.JSONPatchType, patch))
	switch {
	case apierrors.IsConflict(err):
		return nil
	case err != nil:
		// The app may be gone by now.
		return client.IgnoreNotFound(fmt.Errorf("write status: %w", err))
	}
	r.recordTransitions(app, &next)
	return nil
}

// patchStatus patches the status. The API server answers with the whole object, which
// cannot be decoded where the spec cannot: then its metadata is asked for.
func (r *Reconciler) patchStatus(ctx context.Context, app *v1alpha1.ExposedApp, patch client.Patch) error {
	meta := metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}
	if unreadable(app) == nil {
		return r.Client.Status().Patch(ctx, &v1alpha1.ExposedApp{ObjectMeta: meta}, patch)
	}
	written := &metav1.PartialObjectMetadata{ObjectMeta: meta}
	written.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("ExposedApp"))
	return r.Client.Status().Patch(ctx, written, patch, client.DisableReadYourWritesConsistency)
}
