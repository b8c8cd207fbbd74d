// Package nodereachability decides who dials whom. It keeps one NodeReachability per
// Node, with the nodes that the agent there dials: itself, for diagnosis, and
// its successors on a ring, so that the load of a node does not grow with the
// cluster. Those of observers outside of the cluster, which an admin makes, it gives
// all nodes, or a part of them in turn. It also passes requests to probe again
// on to the agents.
package nodereachability

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/feed"
)

// recheckWindow is how long requests to look again are batched.
const recheckWindow = 10 * time.Millisecond

// maxConcurrentWrites bounds the writes that are under way.
const maxConcurrentWrites = 8

// Reconciler writes the spec of every NodeReachability.
type Reconciler struct {
	Client client.Client
	// Rechecks are the requests to look again.
	Rechecks Rechecks
	// Reports are the NodeReachabilities there are.
	Reports Reports
	// Writes bounds the number of writes per second.
	Writes flowcontrol.RateLimiter
	// Clock decides which nodes are dialled from outside.
	Clock clock.PassiveClock

	own ownWrites
}

// Rechecks knows which observers are to look again, because they disagree.
type Rechecks interface {
	// Requested is sent to when there are new Requests.
	Requested() <-chan struct{}
	// Requests are what is to be looked at again, by observer.
	Requests() map[string]v1alpha1.Recheck
}

// Reports knows the NodeReachabilities there are.
type Reports interface {
	// Reports are those of all observers, and ReportOf that of one, nil if there is none.
	Reports() []*reachability.Report
	ReportOf(observer string) *reachability.Report
}

// SetupWithManager adds the reconciler to a manager. One Node changes the lists
// of its neighbours, so every event leads to one and the same request: the
// whole ring.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, reports *feed.Reports, options controller.Options) error {
	ring := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{named(wholeRing)}
	})
	return builder.ControllerManagedBy(mgr).
		Named("nodereachability").
		Watches(&corev1.Node{}, ring, builder.WithPredicates(addressesChanged())).
		WatchesRawSource(&listSource{reports}).
		WatchesRawSource(source.Func(r.watchRequests)).
		WithOptions(options).
		Complete(r)
}

// The reconciler has two requests: to bring every NodeReachability up to date, and
// to pass on requests to look again, which concern few.
const (
	wholeRing   = "ring"
	newRechecks = "rechecks"
)

func named(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}

// watchRequests enqueues requests to look again.
func (r *Reconciler) watchRequests(
	ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.Rechecks.Requested():
				queue.AddAfter(named(newRechecks), recheckWindow)
			}
		}
	}()
	return nil
}

// Reconcile brings every NodeReachability that differs to the list of nodes
// that its agent should dial, or to what it should look at again.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	if request.Name == newRechecks {
		return reconcile.Result{}, r.recheck(ctx)
	}
	var nodes corev1.NodeList
	if err := r.Client.List(ctx, &nodes); err != nil {
		return reconcile.Result{}, fmt.Errorf("list nodes: %w", err)
	}
	current := make(map[string]*v1alpha1.NodeReachability)
	var size int32
	for _, report := range r.Reports.Reports() {
		current[report.Name] = r.own.newest(&report.NodeReachability)
		size = max(size, report.Spec.ClusterSize)
	}

	ofNodes := wantedOfNodes(nodes.Items, size)
	for _, want := range ofNodes {
		if have := current[want.name]; have != nil && have.Outside() {
			log.FromContext(ctx).Info("Taking the NodeReachability of an observer outside of the cluster for that of "+
				"the Node of its name: give the observer another name", "nodeReachability", klog.KObj(have))
		}
	}
	now := r.Clock.Now()
	ofOutsiders, until := wantedOutside(current, nodes.Items, size, now)
	var result reconcile.Result
	if !until.IsZero() {
		result.RequeueAfter = until.Sub(now)
	}
	return result, r.write(ctx, append(ofNodes, ofOutsiders...), current)
}

// write applies what is wanted where that differs from what is there.
func (r *Reconciler) write(
	ctx context.Context, all []wanted, current map[string]*v1alpha1.NodeReachability,
) error {
	var writes errgroup.Group
	writes.SetLimit(maxConcurrentWrites)
	rechecks := r.Rechecks.Requests()
	for _, want := range all {
		have := current[want.name]
		if recheck, asked := rechecks[want.name]; asked {
			want.spec.Recheck = &recheck
		} else if have != nil {
			// To take back a request would be one more write, and change nothing.
			want.spec.Recheck = have.Spec.Recheck
		}
		if have == nil || !want.owned(have) || !equality.Semantic.DeepEqual(have.Spec, want.spec) {
			writes.Go(func() error { return r.apply(ctx, want) })
		}
	}
	return writes.Wait()
}

// recheck passes on the requests to look again.
func (r *Reconciler) recheck(ctx context.Context) error {
	var errs []error
	for name, recheck := range r.Rechecks.Requests() {
		report := r.Reports.ReportOf(name)
		if report == nil {
			continue
		}
		have := r.own.newest(&report.NodeReachability)
		want := wanted{name: name, spec: have.Spec}
		switch {
		case have.Outside():
			want.object = have.UID
		case len(have.OwnerReferences) == 1:
			want.node = have.OwnerReferences[0].UID
		default:
			continue
		}
		if equality.Semantic.DeepEqual(have.Spec.Recheck, &recheck) {
			continue
		}
		want.spec.Recheck = &recheck
		errs = append(errs, r.apply(ctx, want))
	}
	return errors.Join(errs...)
}

func (r *Reconciler) apply(ctx context.Context, want wanted) error {
	if err := r.Writes.Wait(ctx); err != nil {
		return err
	}
	written := want.configuration()
	// The reports are not in the client's cache, which could show it its own writes.
	err := r.Client.Apply(ctx, written, client.ForceOwnership, client.DisableReadYourWritesConsistency)
	if want.object != "" && apierrors.IsConflict(err) {
		// The admin deleted it, and the watch shows that.
		return nil
	}
	if err != nil {
		return fmt.Errorf("apply node reachability %s: %w", want.name, err)
	}
	r.own.applied(want.written(ptr.Deref(written.ResourceVersion, "")))
	return nil
}

// addressesChanged leaves out the heartbeats of the kubelets.
func addressesChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Node)
		after, also := e.ObjectNew.(*corev1.Node)
		return !ok || !also || before.UID != after.UID ||
			!maps.Equal(Addresses(before), Addresses(after))
	}}
}

// listChanged leaves out reports, and requests to look again: the operator makes these
// itself, by the dozen per second on a large cluster, and they change nobody's list.
func listChanged(before, after *v1alpha1.NodeReachability) bool {
	switch {
	case before == nil || after == nil:
		return before != after
	case before.UID != after.UID || before.Outside() != after.Outside():
		return true
	}
	was, is := before.Spec, after.Spec
	was.Recheck, is.Recheck = nil, nil
	return before.Generation != after.Generation && !equality.Semantic.DeepEqual(was, is)
}

// listSource enqueues the whole ring where somebody's list changed.
type listSource struct{ reports *feed.Reports }

// Start has it enqueued from now on.
func (s *listSource) Start(
	_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	s.reports.Subscribe(func(change feed.Change) {
		if listChanged(change.Before, change.After) {
			queue.Add(named(wholeRing))
		}
	})
	return nil
}

// WaitForSync waits until every NodeReachability that existed at the start is known: one
// that is not would be created again.
func (s *listSource) WaitForSync(ctx context.Context) error { return s.reports.WaitForSync(ctx) }
