// Package topology decides who dials whom. It keeps one NodeReachability per
// Node, with the nodes that the agent there dials: itself, for diagnosis, and
// its successors on a ring, so that the load of a node does not grow with the
// cluster. It also passes on to the agents what they are to look at again.
package topology

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	applyv1alpha1 "github.com/exposedapp/exposedapp/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/feed"
)

// gather is how long requests to look again may wait for each other.
const gather = 10 * time.Millisecond

// atOnce is how many writes may be under way at once.
const atOnce = 8

// Reconciler writes the spec of every NodeReachability.
type Reconciler struct {
	Client client.Client
	// Rechecks are the requests to look again.
	Rechecks Rechecks
	// Reports are the NodeReachabilities there are.
	Reports Reports
	// Writes bounds the number of writes per second.
	Writes flowcontrol.RateLimiter

	own ownWrites
}

// Rechecks knows which observers are to look again, because they disagree.
type Rechecks interface {
	// Requested tells when there are new Requests.
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
		Named("topology").
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

// watchRequests wakes the reconciler for requests to look again.
func (r *Reconciler) watchRequests(
	ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.Rechecks.Requested():
				queue.AddAfter(named(newRechecks), gather)
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

	var writes errgroup.Group
	writes.SetLimit(atOnce)
	specs, rechecks := Specs(nodes.Items, size), r.Rechecks.Requests()
	for i := range nodes.Items {
		node := &nodes.Items[i]
		spec, have := specs[node.Name], current[node.Name]
		if recheck, asked := rechecks[node.Name]; asked {
			spec.Recheck = &recheck
		} else if have != nil {
			// To take back a request would be one more write, and change nothing.
			spec.Recheck = have.Spec.Recheck
		}
		if have == nil || !ownedBy(have, node.UID) || !equality.Semantic.DeepEqual(have.Spec, spec) {
			writes.Go(func() error { return r.apply(ctx, node.Name, node.UID, spec) })
		}
	}
	return reconcile.Result{}, writes.Wait()
}

// recheck passes on the requests to look again.
func (r *Reconciler) recheck(ctx context.Context) error {
	var errs []error
	for name, recheck := range r.Rechecks.Requests() {
		report := r.Reports.ReportOf(name)
		if report == nil {
			continue
		}
		have := *r.own.newest(&report.NodeReachability)
		if len(have.OwnerReferences) != 1 || equality.Semantic.DeepEqual(have.Spec.Recheck, &recheck) {
			continue
		}
		have.Spec.Recheck = &recheck
		errs = append(errs, r.apply(ctx, name, have.OwnerReferences[0].UID, have.Spec))
	}
	return errors.Join(errs...)
}

func (r *Reconciler) apply(
	ctx context.Context, node string, uid types.UID, spec v1alpha1.NodeReachabilitySpec,
) error {
	if err := r.Writes.Wait(ctx); err != nil {
		return err
	}
	wanted := report(node, uid, spec)
	// The reports are not in the client's cache, which could show it its own writes.
	if err := r.Client.Apply(ctx, wanted, client.ForceOwnership, client.DisableReadYourWritesConsistency); err != nil {
		return fmt.Errorf("apply node reachability %s: %w", node, err)
	}
	r.own.applied(node, uid, spec, ptr.Deref(wanted.ResourceVersion, ""))
	return nil
}

// Specs returns, by the name of the node, what each agent dials and how often
// it reports. size is the size of the cluster that the agents were last told of.
func Specs(nodes []corev1.Node, size int32) map[string]v1alpha1.NodeReachabilitySpec {
	targets := make(map[string]v1alpha1.Target, len(nodes))
	for i := range nodes {
		targets[nodes[i].Name] = target(&nodes[i])
	}
	ring := Ring(slices.Collect(maps.Keys(targets)))
	size = clusterSize(len(nodes), size)

	specs := make(map[string]v1alpha1.NodeReachabilitySpec, len(nodes))
	for _, node := range slices.Sorted(maps.Keys(targets)) {
		spec := v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: heartbeatSeconds(size), ClusterSize: size}
		for turn, name := range append([]string{node}, ring[node]...) {
			target := targets[name]
			target.Turn = int32(turn)
			spec.Targets = append(spec.Targets, target)
		}
		slices.SortFunc(spec.Targets, func(a, b v1alpha1.Target) int { return cmp.Compare(a.Node, b.Node) })
		specs[node] = spec
	}
	return specs
}

func target(node *corev1.Node) v1alpha1.Target {
	target := v1alpha1.Target{Node: node.Name}
	addresses := Addresses(node)
	for _, family := range []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol} {
		if address, found := addresses[family]; found {
			target.Addresses = append(target.Addresses, address.String())
		}
	}
	return target
}

func report(
	node string, uid types.UID, spec v1alpha1.NodeReachabilitySpec,
) *applyv1alpha1.NodeReachabilityApplyConfiguration {
	wanted := applyv1alpha1.NodeReachabilitySpec().WithHeartbeatSeconds(spec.HeartbeatSeconds).WithClusterSize(spec.ClusterSize)
	for _, target := range spec.Targets {
		wanted.WithTargets(applyv1alpha1.Target().WithNode(target.Node).WithAddresses(target.Addresses...).WithTurn(target.Turn))
	}
	if spec.Recheck != nil {
		wanted.WithRecheck(applyv1alpha1.Recheck().
			WithRound(spec.Recheck.Round).
			WithNodePorts(spec.Recheck.NodePorts).
			WithAddresses(spec.Recheck.Addresses...))
	}
	return applyv1alpha1.NodeReachability(node).
		WithOwnerReferences(metav1ac.OwnerReference().
			WithAPIVersion("v1").WithKind("Node").WithName(node).WithUID(uid)).
		WithSpec(wanted)
}

func ownedBy(report *v1alpha1.NodeReachability, uid types.UID) bool {
	return len(report.OwnerReferences) == 1 && report.OwnerReferences[0].UID == uid
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
	case before.UID != after.UID:
		return true
	}
	was, is := before.Spec, after.Spec
	was.Recheck, is.Recheck = nil, nil
	return before.Generation != after.Generation && !equality.Semantic.DeepEqual(was, is)
}

// listSource wakes the reconciler for the whole ring where somebody's list changed.
type listSource struct{ reports *feed.Reports }

// Start has it woken from now on.
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
// that is not would be made anew.
func (s *listSource) WaitForSync(ctx context.Context) error { return s.reports.WaitForSync(ctx) }
