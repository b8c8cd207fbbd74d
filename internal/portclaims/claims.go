// Package portclaims decides which ExposedApp has which node port. The oldest of those that
// ask for a port that nobody holds has it, and apps that hold what others ask for change
// ports with each other.
package portclaims

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/internal/workload"
)

const (
	// conflictGrace is how long an app whose node port another app holds is not stalled
	// yet. Where several change ports with each other, one hears of it before the others.
	conflictGrace = 5 * time.Second

	// claimGrace is how long an app that cannot have its Service for another reason than
	// its node port keeps the port from others.
	claimGrace = time.Minute

	// maxLine is how many apps are followed that wait for each other's node ports.
	maxLine = 64
)

// Claims decides which app has which node port. Who holds a port and who asks for it
// comes from the cache.
type Claims struct {
	client client.Client
	// direct reads from the API server, and does what the cache need not show.
	direct client.Client
	clock  clock.PassiveClock

	// asking returns the ExposedApps that ask for a node port.
	asking func(nodePort string) ([]*v1alpha1.ExposedApp, error)
	// services are all that the cache has.
	services toolscache.Store

	// rotating is held while apps change node ports with each other.
	rotating sync.Mutex
}

// New returns the claims of the apps and Services in a cache.
func New(
	ctx context.Context, informers cache.Cache, cached, direct client.Client, now clock.PassiveClock,
) (*Claims, error) {
	apps, err := operatorcache.NewIndex(ctx, informers, &v1alpha1.ExposedApp{}, "nodePort", claimedPort)
	if err != nil {
		return nil, err
	}
	services, err := operatorcache.Informer(ctx, informers, &corev1.Service{})
	if err != nil {
		return nil, err
	}
	return &Claims{client: cached, direct: direct, clock: now, asking: apps.Find, services: services.GetStore()}, nil
}

// unavailable returns why a node port cannot be an app's now, nil where it can ask for it.
// No request is made: most that are in conflict stay so for long.
func (c *Claims) unavailable(
	ctx context.Context, app *v1alpha1.ExposedApp, live *corev1.Service, nodePort int32,
) *applyerror.Error {
	holder := c.holderOf(app, nodePort)
	if holder == nil {
		return c.olderClaim(app, nodePort)
	}
	line, end := c.follow(ctx, app, live, holder, nodePort)
	if end == returns {
		switch changed, err := c.rotate(ctx, app, live, line); {
		case err != nil:
			// It may be another app's.
			return &applyerror.Error{
				Reason:  v1alpha1.ReasonPortConflict,
				Message: fmt.Sprintf("%d is held by %s, and to change ports failed, trying again: %v", nodePort, describe("Service", holder), err),
				Cause:   fmt.Errorf("change node ports: %w", err),
			}
		case changed:
			return nil
		}
		end = stays
	}
	return occupied(app, holder, nodePort, end, c.clock.Now())
}

// occupied returns the error for a node port that a Service holds. An error that will pass
// by itself is not stalled.
func occupied(
	app *v1alpha1.ExposedApp, holder *corev1.Service, nodePort int32, end lineEnd, now time.Time,
) *applyerror.Error {
	refusal := &applyerror.Error{
		Reason:     v1alpha1.ReasonPortConflict,
		Message:    fmt.Sprintf("%d is held by %s", nodePort, describe("Service", holder)),
		RetryAfter: applyerror.RetryPassing,
	}
	switch {
	case end == leaves:
		refusal.Message += ", which is being deleted: waiting for the port"
	case end == moves:
		refusal.Message += ", which is about to move to another: waiting for the port"
	case workload.Owned(holder) && now.Sub(conflictSince(app, now)) < conflictGrace:
		refusal.Message += ": " + applyerror.PortAdvice
	default:
		refusal.Message += ": " + applyerror.PortAdvice
		refusal.Stalled, refusal.RetryAfter = true, 0
	}
	return refusal
}

// conflictSince returns since when an app is known not to have its node port because
// another Service holds it: now, where it is new.
func conflictSince(app *v1alpha1.ExposedApp, now time.Time) time.Time {
	allocated := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionPortAllocated)
	if allocated == nil || allocated.Status != metav1.ConditionFalse || allocated.Reason != v1alpha1.ReasonPortConflict {
		return now
	}
	return allocated.LastTransitionTime.Time
}

// lineEnd is how a line of apps ends in which each holds the node port that the one before
// asks for.
type lineEnd int

const (
	// stays: the last keeps what it holds.
	stays lineEnd = iota
	// leaves: the first holder is on its way out.
	leaves
	// moves: the last can have what it asks for, or others change with each other.
	moves
	// returns: the last asks for what the first one holds.
	returns
)

// follow finds out who holds the node port that an app asks for, what that asks for, and so
// on. It returns the apps that do, in this order.
func (c *Claims) follow(
	ctx context.Context, app *v1alpha1.ExposedApp, live, holder *corev1.Service, nodePort int32,
) (line []*v1alpha1.ExposedApp, _ lineEnd) {
	for range maxLine {
		if c.leaving(ctx, holder) {
			if len(line) == 0 {
				return nil, leaves
			}
			return line, moves
		}
		next := c.mover(ctx, holder, nodePort)
		switch {
		case next == nil || next.UID == app.UID:
			return line, stays
		case slices.ContainsFunc(line, func(other *v1alpha1.ExposedApp) bool { return other.UID == next.UID }):
			return line, moves
		}
		line = append(line, next)
		nodePort = ptr.Deref(next.Spec.NodePort, 0)
		if nodePort == workload.HeldPort(live) {
			return line, returns
		}
		if holder = c.holderOf(next, nodePort); holder == nil {
			return line, moves
		}
	}
	return line, stays
}

// mover returns the ExposedApp whose Service holds a node port, if it asks for another one
// and nothing else keeps it from that.
func (c *Claims) mover(ctx context.Context, holder *corev1.Service, nodePort int32) *v1alpha1.ExposedApp {
	app := c.ownerOf(ctx, holder)
	if app == nil || workload.Suspended(app) || workload.HeldPort(holder) != nodePort {
		return nil
	}
	wanted, now := ptr.Deref(app.Spec.NodePort, 0), c.clock.Now()
	if wanted == 0 || wanted == nodePort || now.Sub(refusedSince(app, now)) > conflictGrace {
		return nil
	}
	return app
}

// ownerOf returns the ExposedApp that controls a Service, nil for none.
func (c *Claims) ownerOf(ctx context.Context, service *corev1.Service) *v1alpha1.ExposedApp {
	owner := metav1.GetControllerOf(service)
	if owner == nil || !workload.IsExposedApp(owner) {
		return nil
	}
	app := &v1alpha1.ExposedApp{}
	key := client.ObjectKey{Namespace: service.Namespace, Name: owner.Name}
	if err := c.client.Get(ctx, key, app, client.DisableReadYourWritesConsistency); err != nil || app.UID != owner.UID {
		return nil
	}
	return app
}

// leaving reports whether a Service is being deleted, or waits for the garbage
// collector because its ExposedApp is gone.
func (c *Claims) leaving(ctx context.Context, service *corev1.Service) bool {
	if service.DeletionTimestamp != nil {
		return true
	}
	app := c.ownerOf(ctx, service)
	return workload.Owned(service) && (app == nil || app.DeletionTimestamp != nil)
}

// olderClaim returns an error where an older ExposedApp asks for the same free node port,
// which the oldest of all is about to have.
func (c *Claims) olderClaim(app *v1alpha1.ExposedApp, nodePort int32) *applyerror.Error {
	rivals, err := c.asking(strconv.Itoa(int(nodePort)))
	if err != nil {
		return applyerror.Of("Service", fmt.Errorf("who asks for node port %d: %w", nodePort, err))
	}
	first, now := app, c.clock.Now()
	for _, rival := range rivals {
		if claiming(rival, now) && older(rival, first) {
			first = rival
		}
	}
	if first.UID == app.UID {
		return nil
	}
	return &applyerror.Error{
		Reason: v1alpha1.ReasonPortConflict,
		Message: fmt.Sprintf("%d is claimed by %s, which is older: waiting until that has it, or is found to have no use for it",
			nodePort, describe("ExposedApp", first)),
		RetryAfter: applyerror.RetryPassing,
	}
}

// claiming reports whether an app that asks for a node port keeps it from younger ones. An app that
// could not have it anyway does not.
func claiming(app *v1alpha1.ExposedApp, now time.Time) bool {
	return app.DeletionTimestamp == nil && !workload.Suspended(app) && now.Sub(refusedSince(app, now)) <= claimGrace
}

// refusedSince returns since when an app cannot have its Service, for another reason than
// that its node port is held: now, where it can. An app that was never observed has
// had none since it was created.
func refusedSince(app *v1alpha1.ExposedApp, now time.Time) time.Time {
	allocated := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionPortAllocated)
	switch {
	case allocated == nil:
		return app.CreationTimestamp.Time
	case allocated.Status == metav1.ConditionTrue || allocated.Reason == v1alpha1.ReasonPortConflict:
		return now
	}
	return allocated.LastTransitionTime.Time
}

// older orders ExposedApps by age. Of those of the same second one is the first by chance,
// which nobody can choose.
func older(a, b *v1alpha1.ExposedApp) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}

// PortFor returns the node port to ask for, 0 for any, or why none can be had now.
func (c *Claims) PortFor(
	ctx context.Context, app *v1alpha1.ExposedApp, live *corev1.Service,
) (int32, *applyerror.Error) {
	nodePort, held := workload.WantedPort(app, live), workload.HeldPort(live)
	if nodePort == held || nodePort == 0 {
		return nodePort, nil
	}
	refusal := c.unavailable(ctx, app, live, nodePort)
	if refusal.IsStalled() && app.Spec.NodePort == nil {
		// The app was given this one once and lost it for good, and its spec does not ask for it.
		return held, nil
	}
	return nodePort, refusal
}

// holderOf returns a Service other than the app's own that holds a node port, nil where
// none is known. An index would take half a KiB for each Service, and this is seldom asked.
func (c *Claims) holderOf(app *v1alpha1.ExposedApp, nodePort int32) *corev1.Service {
	for _, object := range c.services.List() {
		service, ok := object.(*corev1.Service)
		if !ok || !slices.Contains(workload.HeldPorts(service), nodePort) {
			continue
		}
		if service.Namespace != app.Namespace || service.Name != app.Name {
			return service
		}
	}
	return nil
}

func servicePorts(service *corev1.Service) []string {
	var keys []string
	for _, nodePort := range workload.HeldPorts(service) {
		keys = append(keys, strconv.Itoa(int(nodePort)))
	}
	return keys
}

func claimedPort(app *v1alpha1.ExposedApp) []string {
	if nodePort := ptr.Deref(app.Spec.NodePort, 0); nodePort != 0 {
		return []string{strconv.Itoa(int(nodePort))}
	}
	return nil
}

// describe names an object in a message.
func describe(kind string, object client.Object) string {
	return fmt.Sprintf("%s %s/%s", kind, object.GetNamespace(), object.GetName())
}

// EnqueueOnAppRelease enqueues the ExposedApps that ask for a node port which another one asked
// for and no longer does.
func (c *Claims) EnqueueOnAppRelease() handler.EventHandler { return onRelease(c, claimedPort) }

// EnqueueOnPortRelease enqueues the ExposedApps that ask for a node port which a Service held
// and no longer does.
func (c *Claims) EnqueueOnPortRelease() handler.EventHandler { return onRelease(c, servicePorts) }

// onRelease handles the events by which an object loses node ports.
func onRelease[T client.Object](c *Claims, ports func(T) []string) handler.EventHandler {
	return handler.Funcs{
		UpdateFunc: func(_ context.Context, e event.UpdateEvent,
			queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			before, ok := e.ObjectOld.(T)
			after, also := e.ObjectNew.(T)
			if ok && also {
				c.enqueue(sets.New(ports(before)...).Delete(ports(after)...), queue)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent,
			queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if gone, ok := e.Object.(T); ok {
				c.enqueue(sets.New(ports(gone)...), queue)
			}
		},
	}
}

// enqueue enqueues the ExposedApps that ask for one of some node ports.
func (c *Claims) enqueue(ports sets.Set[string], queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	for port := range ports {
		apps, err := c.asking(port)
		if err != nil {
			continue
		}
		for _, app := range apps {
			queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(app)})
		}
	}
}
