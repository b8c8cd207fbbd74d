// Package topology decides who dials whom. It keeps one NodeReachability per
// Node, with the nodes that the agent there dials: itself, for diagnosis, and
// its successors on a ring, so that the load of a node does not grow with the
// cluster. Those of observers outside of the cluster, which an admin makes, it gives
// all nodes, or a part of them in turn. It also passes on to the agents what they are
// to look at again.
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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
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
	applyv1alpha1 "github.com/exposedapp/exposedapp/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
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
	// Clock tells whose turn it is to be dialled from outside.
	Clock clock.PassiveClock

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

// wanted is a NodeReachability as it should be.
type wanted struct {
	name string
	// node is the UID of the Node that is to own it, and object that of the one that
	// an admin made: one of them is empty.
	node, object types.UID
	spec         v1alpha1.NodeReachabilitySpec
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
	writes.SetLimit(atOnce)
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
		// The admin deleted it. The watch tells, or did already.
		return nil
	}
	if err != nil {
		return fmt.Errorf("apply node reachability %s: %w", want.name, err)
	}
	r.own.applied(want.written(ptr.Deref(written.ResourceVersion, "")))
	return nil
}

// wantedOfNodes returns the NodeReachabilities of the Nodes, by name.
func wantedOfNodes(nodes []corev1.Node, size int32) []wanted {
	specs := Specs(nodes, size)
	all := make([]wanted, 0, len(nodes))
	for i := range nodes {
		all = append(all, wanted{name: nodes[i].Name, node: nodes[i].UID, spec: specs[nodes[i].Name]})
	}
	return all
}

// wantedOutside returns those of the observers outside of the cluster, but for such as
// have the name of a Node, and when they change by themselves.
func wantedOutside(
	current map[string]*v1alpha1.NodeReachability, nodes []corev1.Node, size int32, now time.Time,
) (all []wanted, until time.Time) {
	for name, have := range current {
		sameName := func(node corev1.Node) bool { return node.Name == name }
		if !have.Outside() || slices.ContainsFunc(nodes, sameName) {
			continue
		}
		want := wanted{name: name, object: have.UID}
		want.spec, until = OutsideSpec(name, nodes, size, now)
		all = append(all, want)
	}
	return all, until
}

// Specs returns, by the name of the node, what each agent dials and how often
// it reports. size is the size of the cluster that the agents were last told of.
func Specs(nodes []corev1.Node, size int32) map[string]v1alpha1.NodeReachabilitySpec {
	targets := targetsOf(nodes)
	ring := Ring(slices.Collect(maps.Keys(targets)))
	size = clusterSize(len(nodes), size)

	specs := make(map[string]v1alpha1.NodeReachabilitySpec, len(nodes))
	for _, node := range slices.Sorted(maps.Keys(targets)) {
		spec := v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: protocol.HeartbeatSeconds(size), ClusterSize: size}
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

// targetsOf returns the nodes as targets, by name.
func targetsOf(nodes []corev1.Node) map[string]v1alpha1.Target {
	targets := make(map[string]v1alpha1.Target, len(nodes))
	for i := range nodes {
		targets[nodes[i].Name] = target(&nodes[i])
	}
	return targets
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

// configuration returns what the operator applies. An object that an admin made is
// named by its UID: the API server makes none anew then, where that is gone.
func (w *wanted) configuration() *applyv1alpha1.NodeReachabilityApplyConfiguration {
	spec := applyv1alpha1.NodeReachabilitySpec().
		WithHeartbeatSeconds(w.spec.HeartbeatSeconds).WithClusterSize(w.spec.ClusterSize)
	for _, target := range w.spec.Targets {
		spec.WithTargets(applyv1alpha1.Target().WithNode(target.Node).WithAddresses(target.Addresses...).WithTurn(target.Turn))
	}
	if recheck := w.spec.Recheck; recheck != nil {
		spec.WithRecheck(applyv1alpha1.Recheck().
			WithRound(recheck.Round).WithNodePorts(recheck.NodePorts).WithAddresses(recheck.Addresses...))
	}
	configuration := applyv1alpha1.NodeReachability(w.name).WithSpec(spec)
	if w.object != "" {
		return configuration.WithUID(w.object)
	}
	return configuration.WithOwnerReferences(metav1ac.OwnerReference().
		WithAPIVersion("v1").WithKind("Node").WithName(w.name).WithUID(w.node))
}

// written returns what an apply made, as version, of what decides whether another one is
// needed.
func (w *wanted) written(version string) *v1alpha1.NodeReachability {
	made := &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: w.name, UID: w.object, ResourceVersion: version}, Spec: w.spec,
	}
	if w.object != "" {
		made.Labels = map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
	} else {
		made.OwnerReferences = []metav1.OwnerReference{{UID: w.node}}
	}
	return made
}

// owned reports whether the NodeReachability has the owner that it should have.
func (w *wanted) owned(have *v1alpha1.NodeReachability) bool {
	if w.object != "" {
		return have.UID == w.object
	}
	return len(have.OwnerReferences) == 1 && have.OwnerReferences[0].UID == w.node
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
