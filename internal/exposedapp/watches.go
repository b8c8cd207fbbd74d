package exposedapp

import (
	"context"

	"golang.org/x/time/rate"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// SetupWithManager adds the reconciler, its lookups and its watches to a
// manager. What runs in an event handler must not wait for the cache to show the
// operator its own writes: it would wait for itself.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr manager.Manager, options controller.Options) error {
	if err := fillTogether(ctx, mgr.GetCache()); err != nil {
		return err
	}
	var err error
	if r.slices, err = newLookup(ctx, mgr.GetCache(), &discoveryv1.EndpointSlice{}, "service", serviceKey); err != nil {
		return err
	}
	if r.claims, err = newLookup(ctx, mgr.GetCache(), &v1alpha1.ExposedApp{}, "nodePort", claimedPort); err != nil {
		return err
	}
	services, err := mgr.GetCache().GetInformer(ctx, &corev1.Service{}, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	if shared, ok := services.(toolscache.SharedInformer); ok {
		r.services = shared.GetStore()
	}
	if r.direct, err = client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		FieldOwner: v1alpha1.OperatorName,
	}); err != nil {
		return err
	}
	r.looks, r.contests = newLooks(mgr.GetAPIReader()), newContests()
	r.throttle, r.verified, r.retries = newThrottle(), newVerified(), newRetries()
	options.RateLimiter = r.retries
	r.events = rate.NewLimiter(eventsPerSecond, eventBurst)
	sameName := handler.EnqueueRequestsFromMapFunc(r.sameName)
	// A child carries the ExposedApp's name, whoever owns it: a foreign one of
	// that name is a conflict, and its going is the end of it.
	return builder.ControllerManagedBy(mgr).
		Named("exposedapp").
		For(&v1alpha1.ExposedApp{}).
		Watches(&v1alpha1.ExposedApp{}, newcomers()).
		Watches(&v1alpha1.ExposedApp{}, r.rivals(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&appsv1.Deployment{}, sameName).
		Watches(&corev1.Service{}, sameName).
		Watches(&corev1.Service{}, r.claimants()).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(serviceOf)).
		WatchesRawSource(&nodeSource{cache: mgr.GetCache(), matrix: r.Matrix, expected: r.ExpectedNodes}).
		WatchesRawSource(&reportSource{reports: r.Reports, matrix: r.Matrix}).
		WithOptions(options).
		Complete(r)
}

// fillTogether has all caches filled at the same time. A manager begins with those
// that are asked for before it starts, and would come to the others after them.
func fillTogether(ctx context.Context, informers cache.Cache) error {
	for _, object := range []client.Object{
		&v1alpha1.ExposedApp{}, &appsv1.Deployment{}, &corev1.Service{}, &corev1.Node{}, &discoveryv1.EndpointSlice{},
	} {
		if _, err := informers.GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return err
		}
	}
	return nil
}

// newcomers wakes the ExposedApps that no operator has followed yet. At the start
// of one, all others can wait for them.
func newcomers() handler.EventHandler {
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

// sameName wakes the ExposedApp of an object's name, if there is one.
func (r *Reconciler) sameName(ctx context.Context, object client.Object) []reconcile.Request {
	key := client.ObjectKeyFromObject(object)
	if err := r.Client.Get(ctx, key, &v1alpha1.ExposedApp{}, client.DisableReadYourWritesConsistency); err != nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: key}}
}

// rivals wakes the ExposedApps that ask for a node port which another one asked
// for and no longer does.
func (r *Reconciler) rivals() handler.EventHandler {
	return onRelease(claimedPort, r.enqueueClaimants)
}

// claimants wakes the ExposedApps that ask for a node port which a Service held
// and no longer does.
func (r *Reconciler) claimants() handler.EventHandler {
	return onRelease(servicePorts, r.enqueueClaimants)
}

// onRelease handles the events by which an object loses node ports.
func onRelease[T client.Object](
	ports func(T) []string, enqueue func([]string, workqueue.TypedRateLimitingInterface[reconcile.Request]),
) handler.EventHandler {
	return handler.Funcs{
		UpdateFunc: func(_ context.Context, e event.UpdateEvent,
			queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			before, ok1 := e.ObjectOld.(T)
			after, ok2 := e.ObjectNew.(T)
			if ok1 && ok2 {
				enqueue(without(ports(before), ports(after)), queue)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent,
			queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if gone, ok := e.Object.(T); ok {
				enqueue(ports(gone), queue)
			}
		},
	}
}

func (r *Reconciler) enqueueClaimants(
	ports []string, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) {
	for _, port := range ports {
		apps, err := r.claims.find(port)
		if err != nil {
			continue
		}
		for _, app := range apps {
			queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(app)})
		}
	}
}

// serviceOf returns the ExposedApp of an EndpointSlice, which has its Service's
// name.
func serviceOf(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{
		Namespace: object.GetNamespace(), Name: remarkOn(object).text,
	}}}
}

func serviceKey(slice *discoveryv1.EndpointSlice) []string {
	return []string{types.NamespacedName{Namespace: slice.Namespace, Name: remarkOn(slice).text}.String()}
}

// without returns what is in a and not in b.
func without(a, b []string) []string {
	kept := make(map[string]bool, len(b))
	for _, item := range b {
		kept[item] = true
	}
	var gone []string
	for _, item := range a {
		if !kept[item] {
			gone = append(gone, item)
		}
	}
	return gone
}
