package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// nodeHeartbeat is how often a kubelet writes the status of a Node on which
// nothing changes. Its leases, of which there are more, concern nobody here.
const nodeHeartbeat = 5 * time.Minute

// AddNodes follows a direction.
func (w *worldActor) AddNodes(direction AddNodes, _ *struct{}) error {
	next := atomic.Int64{}
	next.Store(int64(direction.From))
	group, ctx := errgroup.WithContext(context.Background())
	for range worldWriters {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= direction.To {
					return nil
				}
				if err := w.addNode(ctx, i); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

func (w *worldActor) addNode(ctx context.Context, i int) error {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:   nodeName(i),
			Labels: map[string]string{corev1.LabelHostname: nodeName(i), corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64"},
		},
		Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: nodeAddress(i).String()},
				{Type: corev1.NodeHostName, Address: nodeName(i)},
			},
			Conditions: []corev1.NodeCondition{readyCondition(true, time.Now().Add(-time.Hour))},
		},
	}
	if err := w.client.Create(ctx, node); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.nodes[node.Name]; !known {
		w.names = append(w.names, node.Name)
	}
	w.nodes[node.Name] = true
	return nil
}

func readyCondition(ready bool, since time.Time) corev1.NodeCondition {
	condition := corev1.NodeCondition{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
		LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.NewTime(since),
	}
	if !ready {
		condition.Status, condition.Reason = corev1.ConditionUnknown, "NodeStatusUnknown"
		condition.Message = "Kubelet stopped posting node status."
	}
	return condition
}

// SetNode follows a direction.
func (w *worldActor) SetNode(direction SetNode, _ *struct{}) error {
	w.mu.Lock()
	_, known := w.nodes[direction.Node]
	w.nodes[direction.Node] = direction.Ready
	w.mu.Unlock()
	if !known {
		return fmt.Errorf("there is no node %q", direction.Node)
	}
	return w.patchNode(context.Background(), direction.Node, readyCondition(direction.Ready, time.Now()))
}

// beat renews the status of every node that is alive, one after the other.
func (w *worldActor) beat(ctx context.Context) error {
	for i := 0; ctx.Err() == nil; i++ {
		w.mu.Lock()
		n, name := max(1, len(w.names)), ""
		if len(w.names) > 0 {
			name = w.names[i%n]
		}
		ready := w.nodes[name]
		w.mu.Unlock()
		if ready {
			// Merged into the Ready condition, of which it changes nothing else.
			condition := map[string]any{"type": corev1.NodeReady, "lastHeartbeatTime": metav1.Now()}
			if err := w.patchNode(ctx, name, condition); err != nil && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "heartbeat of %s: %s\n", name, err)
			}
		}
		_ = sleep(ctx, nodeHeartbeat/time.Duration(n))
	}
	return nil
}

// patchNode merges a condition into the status of a node.
func (w *worldActor) patchNode(ctx context.Context, name string, condition any) error {
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []any{condition}}})
	if err != nil {
		return err
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	return w.client.Status().Patch(ctx, node, client.RawPatch(types.StrategicMergePatchType, patch))
}
