package exposedapp

import (
	"context"
	"runtime"

	"golang.org/x/time/rate"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/internal/podsampler"
	"github.com/exposedapp/exposedapp/internal/portclaims"
	"github.com/exposedapp/exposedapp/internal/statuswriter"
)

// SetupWithManager adds the reconciler, its indexes and its watches to a
// manager. What runs in an event handler must not wait for the cache to show the
// operator its own writes: it would wait for itself.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr manager.Manager, options controller.Options) error {
	if err := operatorcache.StartInformers(ctx, mgr.GetCache()); err != nil {
		return err
	}
	slices, err := operatorcache.NewIndex(ctx, mgr.GetCache(), &discoveryv1.EndpointSlice{}, "service", serviceKey)
	if err != nil {
		return err
	}
	direct, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		FieldOwner: v1alpha1.OperatorName,
	})
	if err != nil {
		return err
	}
	claims, err := portclaims.New(ctx, mgr.GetCache(), r.Client, direct, r.Clock)
	if err != nil {
		return err
	}
	r.slices, r.pods, r.statuses, r.retries = slices, podsampler.New(mgr.GetAPIReader()), statuswriter.New(r.Client), newRetries()
	r.children = newChildren(r.Client, direct, claims, r.Clock)
	r.events = rate.NewLimiter(eventsPerSecond, eventBurst)
	r.buffers = make(chan []v1alpha1.NodeVerdict, runtime.GOMAXPROCS(0))
	for range cap(r.buffers) {
		r.buffers <- nil
	}
	options.RateLimiter = r.retries
	sameName := handler.EnqueueRequestsFromMapFunc(r.requestOfName)
	// A child carries the ExposedApp's name, whoever owns it: a foreign child
	// of that name is a conflict, which ends when that is deleted.
	return builder.ControllerManagedBy(mgr).
		Named("exposedapp").
		For(&v1alpha1.ExposedApp{}).
		Watches(&v1alpha1.ExposedApp{}, enqueueUnobserved()).
		Watches(&v1alpha1.ExposedApp{}, claims.EnqueueOnAppRelease(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&appsv1.Deployment{}, sameName).
		Watches(&corev1.Service{}, sameName).
		Watches(&corev1.Service{}, claims.EnqueueOnPortRelease()).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(requestOfSlice)).
		WatchesRawSource(&nodeSource{cache: mgr.GetCache(), state: r.State, expected: r.ExpectedNodes}).
		WatchesRawSource(&reportSource{reports: r.Reports, state: r.State}).
		WithOptions(options).
		Complete(r)
}

// enqueueUnobserved enqueues the ExposedApps that no operator has observed yet. When an
// operator starts, all others can wait for them.
func enqueueUnobserved() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent,
			queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			app, ok := e.Object.(*v1alpha1.ExposedApp)
			if ok && app.Status.ObservedGeneration != app.Generation {
				enqueue(queue, normal, []types.NamespacedName{client.ObjectKeyFromObject(app)})
			}
		},
	}
}

// requestOfName returns the ExposedApp of an object's name, if there is one.
func (r *Reconciler) requestOfName(ctx context.Context, object client.Object) []reconcile.Request {
	key := client.ObjectKeyFromObject(object)
	if err := r.Client.Get(ctx, key, &v1alpha1.ExposedApp{}, client.DisableReadYourWritesConsistency); err != nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: key}}
}

// requestOfSlice returns the ExposedApp of an EndpointSlice, which has its Service's
// name.
func requestOfSlice(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{
		Namespace: object.GetNamespace(), Name: operatorcache.CompactMetaOf(object).Text,
	}}}
}

func serviceKey(slice *discoveryv1.EndpointSlice) []string {
	return []string{types.NamespacedName{Namespace: slice.Namespace, Name: operatorcache.CompactMetaOf(slice).Text}.String()}
}
