package exposedapp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/feed"
)

// nodeWindow is how long changes of Nodes wait for each other.
const nodeWindow = 20 * time.Millisecond

// nodeSource gives the State the Nodes, and enqueues all apps when one changed: every app
// has a verdict on every node. There may be thousands of both, so changes that come in a
// burst are handled once.
type nodeSource struct {
	cache cache.Cache
	state *reachability.State
	// expected selects the nodes that are expected to answer; all are if it is nil.
	expected labels.Selector

	synced  toolscache.ResourceEventHandlerRegistration
	changed chan struct{}
}

// Start adds the source to the informer of Nodes. It returns as soon as events
// flow.
func (s *nodeSource) Start(
	ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	s.changed = make(chan struct{}, 1)
	informer, err := s.cache.GetInformer(ctx, &corev1.Node{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("get informer of nodes: %w", err)
	}
	s.synced, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { s.notify() },
		DeleteFunc: func(any) { s.notify() },
		UpdateFunc: func(before, after any) {
			if nodeChanged(before, after, s.expected) {
				s.notify()
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	go s.run(ctx, &batcher{queue: queue, nodes: s.state.Nodes})
	return nil
}

// WaitForSync waits until the State knows every Node that existed at the start.
func (s *nodeSource) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), s.synced.HasSynced) {
		return errors.New("nodes were not read in time")
	}
	return s.update(ctx)
}

func (s *nodeSource) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *nodeSource) run(ctx context.Context, apps *batcher) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(nodeWindow):
		}
		err := s.update(ctx)
		if err == nil {
			err = s.enqueueAll(ctx, apps)
		}
		if err != nil {
			log.FromContext(ctx).Error(err, "Following a change of nodes")
			s.notify()
		}
	}
}

// update gives the State the Nodes that exist.
func (s *nodeSource) update(ctx context.Context) error {
	var nodes corev1.NodeList
	if err := s.cache.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	s.state.SetNodes(nodesOf(nodes.Items, s.expected))
	return nil
}

// enqueueAll enqueues all ExposedApps.
func (s *nodeSource) enqueueAll(ctx context.Context, batch *batcher) error {
	var apps v1alpha1.ExposedAppList
	if err := s.cache.List(ctx, &apps, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list exposed apps: %w", err)
	}
	keys := make([]types.NamespacedName, 0, len(apps.Items))
	for i := range apps.Items {
		keys = append(keys, client.ObjectKeyFromObject(&apps.Items[i]))
	}
	batch.add(keys)
	return nil
}

// nodeChanged leaves out the heartbeats of the kubelets.
func nodeChanged(before, after any, expected labels.Selector) bool {
	old, ok := before.(*corev1.Node)
	next, also := after.(*corev1.Node)
	return !ok || !also || !nodeOf(old, expected).Equal(nodeOf(next, expected))
}

// nodesOf returns what the rules of reachability need to know of the Nodes, by
// name.
func nodesOf(items []corev1.Node, expected labels.Selector) []reachability.Node {
	nodes := make([]reachability.Node, 0, len(items))
	for i := range items {
		nodes = append(nodes, nodeOf(&items[i], expected))
	}
	slices.SortFunc(nodes, func(a, b reachability.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes
}

func nodeOf(item *corev1.Node, expected labels.Selector) reachability.Node {
	node := reachability.Node{
		Name:      item.Name,
		Deleting:  item.DeletionTimestamp != nil,
		Addresses: nodereachability.Addresses(item),
		Labels:    item.Labels,
		Excluded:  expected != nil && !expected.Matches(labels.Set(item.Labels)),
	}
	for _, condition := range item.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			node.Ready, node.ReadySince = true, condition.LastTransitionTime.Time
		}
	}
	return node
}

// reportSource enqueues the apps on which a report changed. It is a source, so that no app
// is evaluated before every report that exists is folded in.
type reportSource struct {
	reports *feed.Reports
	state   *reachability.State
}

// Start has apps enqueued from now on.
func (s *reportSource) Start(
	_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	batch := &batcher{queue: queue, nodes: s.state.Nodes}
	s.reports.Subscribe(func(change feed.Change) { batch.add(change.Touched) })
	return nil
}

// WaitForSync waits until every report that existed at the start is folded in.
func (s *reportSource) WaitForSync(ctx context.Context) error {
	return s.reports.WaitForSync(ctx)
}
