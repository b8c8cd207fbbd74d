package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

// app names an ExposedApp, and its Deployment and Service as well.
type app struct {
	namespace, name string
}

func (a app) key() client.ObjectKey {
	return client.ObjectKey{Namespace: a.namespace, Name: a.name}
}

// get returns the ExposedApp.
func (a app) get(ctx context.Context) (*v1alpha1.ExposedApp, error) {
	object := &v1alpha1.ExposedApp{}
	return object, cluster.Get(ctx, a.key(), object)
}

// kubectl runs kubectl in the app's namespace.
func (a app) kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	return kubectl(ctx, append([]string{"--namespace", a.namespace}, args...)...)
}

// field returns what a JSONPath finds in one of the app's objects.
func (a app) field(ctx context.Context, kind, path string) (string, error) {
	return run(ctx, "kubectl", "--namespace", a.namespace, "get", kind, a.name, "--output=jsonpath="+path)
}

// waitReady waits as a user would.
func (a app) waitReady(ctx context.Context) {
	GinkgoHelper()
	condition := v1alpha1.ConditionReady
	if socketLB == unproven {
		condition = v1alpha1.ConditionAvailable
	}
	a.kubectl(ctx, "wait", "--for=condition="+condition, "exposedapp/"+a.name, "--timeout", rollout.String())
}

// condition returns the status and the reason of a condition, as in "True
// Ready", or nothing where there is no such condition.
func (a app) condition(ctx context.Context, kind string) (string, error) {
	object, err := a.get(ctx)
	if err != nil {
		return "", err
	}
	condition := meta.FindStatusCondition(object.Status.Conditions, kind)
	if condition == nil {
		return "", nil
	}
	return string(condition.Status) + " " + condition.Reason, nil
}

// message returns the message of a condition.
func (a app) message(ctx context.Context, kind string) string {
	GinkgoHelper()
	object, err := a.get(ctx)
	Expect(err).NotTo(HaveOccurred())
	condition := meta.FindStatusCondition(object.Status.Conditions, kind)
	Expect(condition).NotTo(BeNil(), kind)
	return condition.Message
}

// rows returns the verdicts by node: the state and the reason, if there is one,
// in parentheses where the node is not expected to answer.
func (a app) rows(ctx context.Context) (map[string]string, error) {
	object, err := a.get(ctx)
	rows := make(map[string]string)
	for i := range object.Status.Nodes {
		verdict := &object.Status.Nodes[i]
		rows[verdict.Node] = rowOf(verdict)
	}
	return rows, err
}

func rowOf(verdict *v1alpha1.NodeVerdict) string {
	row := strings.TrimSpace(string(verdict.State) + " " + verdict.Reason)
	if !verdict.Expected {
		row = "(" + row + ")"
	}
	return row
}

// kstatus returns what GitOps tools make of the ExposedApp.
func (a app) kstatus(ctx context.Context) (status.Status, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("ExposedApp"))
	if err := cluster.Get(ctx, a.key(), object); err != nil {
		return "", err
	}
	return kstatus.Of(object)
}

// witness notes, from now on, every verdict that is not Reachable. It returns
// how to ask for them.
func (a app) witness(ctx SpecContext) (noted func() []string) {
	GinkgoHelper()
	watch, err := cluster.Watch(ctx, &v1alpha1.ExposedAppList{},
		client.InNamespace(a.namespace), client.MatchingFields{"metadata.name": a.name})
	Expect(err).NotTo(HaveOccurred())

	var mu sync.Mutex
	var notes []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, fmt.Sprintf(format, args...))
	}
	done := make(chan struct{})
	go func() {
		for event := range watch.ResultChan() {
			object, ok := event.Object.(*v1alpha1.ExposedApp)
			if !ok {
				note("%s: %v", event.Type, event.Object)
				continue
			}
			for _, verdict := range object.Status.Nodes {
				if verdict.State != v1alpha1.NodeReachable {
					note("%s %s is %s: %s: %s", verdict.Node, verdict.Family, verdict.State, verdict.Reason, verdict.Message)
				}
			}
		}
		select {
		case <-done:
		default:
			note("the watch ended too early")
		}
	}()
	DeferCleanup(func() {
		close(done)
		watch.Stop()
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), notes...)
	}
}

// pods returns the nodes of an app's pods by the pods' names, without those that
// are being deleted.
func (a app) pods(ctx context.Context) (map[string]string, error) {
	var list corev1.PodList
	err := cluster.List(ctx, &list, client.InNamespace(a.namespace), client.MatchingLabels{v1alpha1.AppLabel: a.name})
	pods := make(map[string]string)
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			pods[list.Items[i].Name] = list.Items[i].Spec.NodeName
		}
	}
	return pods, err
}

// everyNode returns the rows that say one thing of every node.
func everyNode(row string) map[string]string {
	rows := make(map[string]string)
	for _, n := range nodes {
		rows[n.name] = row
	}
	return rows
}
