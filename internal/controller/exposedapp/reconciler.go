// Package exposedapp turns an ExposedApp into a Deployment and a NodePort
// Service, and writes back what is true of them: the conditions, and the verdict
// of every node on whether it answers.
//
// Reconcile acts, observes and reports. What to make (package workload) and what to say
// (package appstatus) are pure functions; when a status is written is up to package
// statuswriter. All reads are from the cache (package operatorcache), which shows the
// operator its own writes, but for those of pods and of children that are repaired.
package exposedapp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/appstatus"
	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/internal/podsampler"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/feed"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
	"github.com/exposedapp/exposedapp/internal/statuswriter"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// Reconciler reconciles ExposedApps.
type Reconciler struct {
	// Client reads from the cache and owns its fields as v1alpha1.OperatorName.
	Client client.Client
	// Recorder records an Event for every transition of a condition or a node.
	Recorder events.EventRecorder
	// State holds the reports of the agents, and Reports feeds it.
	State   *reachability.State
	Reports *feed.Reports
	Clock   clock.PassiveClock
	// ExpectedNodes selects the nodes that are expected to answer for any ExposedApp.
	// All are if it is nil.
	ExpectedNodes labels.Selector

	// slices finds EndpointSlices by their Service.
	slices   operatorcache.Index[*discoveryv1.EndpointSlice]
	children *children
	pods     *podsampler.Sampler
	statuses *statuswriter.Writer
	events   *rate.Limiter
	retries  *retries

	// buffers are for the verdicts on one app: on thousands of nodes they take a megabyte. So
	// many apps are judged at a time.
	buffers chan []v1alpha1.NodeVerdict
}

// Reconcile brings one ExposedApp's children to what is declared and writes its
// status, also when a child was refused.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var app v1alpha1.ExposedApp
	switch err := r.Client.Get(ctx, request.NamespacedName, &app); {
	case apierrors.IsNotFound(err):
		r.forget(request.NamespacedName)
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("get exposed app: %w", err)
	case app.DeletionTimestamp != nil:
		return reconcile.Result{}, nil
	}

	seen := r.act(ctx, &app)
	refused := errors.Join(seen.DeploymentError.Err(), seen.ServiceError.Err())
	if err := r.observe(ctx, &app, seen); err != nil {
		return reconcile.Result{}, errors.Join(refused, err)
	}
	now := r.Clock.Now()
	again := soonest(r.inquire(ctx, &app, seen, now), r.retries.askAfter(request.NamespacedName,
		soonest(seen.DeploymentError.Pause(), seen.ServiceError.Pause()), now))
	next, holds := r.judge(&app, seen, now)
	written, pause, err := r.statuses.Write(ctx, &app, next, now)
	if written {
		recordTransitions(r.Recorder, r.events, &app, &next, now)
	}
	return reconcile.Result{RequeueAfter: soonest(pause, holds, again)}, errors.Join(refused, err)
}

// forget forgets an app that is gone.
func (r *Reconciler) forget(app types.NamespacedName) {
	r.State.DeleteApp(app)
	r.statuses.Forget(app)
	r.children.forget(app)
	r.children.contests.forget(app)
	r.pods.Forget(app)
	r.retries.askAfter(app, 0, r.Clock.Now())
}

// soonest returns the shortest of some times. A time of 0 means never.
func soonest(times ...time.Duration) time.Duration {
	times = slices.DeleteFunc(times, func(t time.Duration) bool { return t == 0 })
	if len(times) == 0 {
		return 0
	}
	return slices.Min(times)
}

// act brings the children to what is declared.
func (r *Reconciler) act(ctx context.Context, app *v1alpha1.ExposedApp) *appstatus.Observed {
	if problem := workload.Unreadable(app); problem != "" {
		invalid := applyerror.InvalidApp(problem)
		return &appstatus.Observed{DeploymentError: invalid, ServiceError: invalid}
	}
	return &appstatus.Observed{
		DeploymentError: r.children.applyDeployment(ctx, app),
		ServiceError:    r.children.applyService(ctx, app),
	}
}

// observe gathers what is there after the children were applied or refused.
func (r *Reconciler) observe(ctx context.Context, app *v1alpha1.ExposedApp, seen *appstatus.Observed) error {
	var problem *applyerror.Error
	if seen.Deployment, problem = get(ctx, r.Client, app, kindDeployment, &appsv1.Deployment{}); problem.Err() != nil {
		return problem.Err()
	}
	if seen.Service, problem = get(ctx, r.Client, app, kindService, &corev1.Service{}); problem.Err() != nil {
		return problem.Err()
	}
	if seen.Service == nil {
		return nil
	}
	endpointSlices, err := r.slices.Find(client.ObjectKeyFromObject(app).String())
	if err != nil {
		return fmt.Errorf("endpoint slices: %w", err)
	}
	seen.Endpoints = endpointsOf(endpointSlices)
	return nil
}

// judge evaluates the nodes and returns the status that follows from all that was observed.
// holds is how long that stays true without another report, 0 for good.
func (r *Reconciler) judge(
	app *v1alpha1.ExposedApp, seen *appstatus.Observed, now time.Time,
) (next v1alpha1.ExposedAppStatus, holds time.Duration) {
	key := client.ObjectKeyFromObject(app)
	if seen.Service == nil {
		r.State.DeleteApp(key)
	} else {
		buffer := <-r.buffers
		defer func() { r.buffers <- buffer }()
		r.State.SetApp(key, appState(app, seen), now)
		buffer, holds = verdict.Append(buffer[:0], r.State, key, now)
		seen.Verdicts = buffer
	}
	return appstatus.Of(app, seen, metav1.NewTime(now)), holds
}

// inquire finds out what a person must know about the Deployment that its status does not
// say. again is when to do so once more, 0 for never.
func (r *Reconciler) inquire(
	ctx context.Context, app *v1alpha1.ExposedApp, seen *appstatus.Observed, now time.Time,
) (again time.Duration) {
	var due time.Duration
	seen.Rival, again = r.children.contests.rival(client.ObjectKeyFromObject(app), now)
	seen.PodTrouble, due = r.pods.Explain(ctx, app, seen.Deployment, now)
	return soonest(again, due)
}
