package exposedapp_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

// What envtest lacks is played here: the Deployment and EndpointSlice
// controllers, the nodes, and the agents on them.

// nodeNames are the nodes of the cluster, at 10.0.0.1 and on.
var nodeNames = []string{"node-1", "node-2", "node-3"}

func nodeAddress(i int) string { return fmt.Sprintf("10.0.0.%d", i+1) }

func createNodes(ctx context.Context) {
	GinkgoHelper()
	for i, name := range nodeNames {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		Expect(k8s.Create(ctx, node)).To(Succeed())
		node.Status = corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: nodeAddress(i)}},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue,
				LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour)),
			}},
		}
		Expect(k8s.Status().Update(ctx, node)).To(Succeed())
		Expect(k8s.Create(ctx, &v1alpha1.NodeReachability{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.NodeReachabilitySpec{Targets: everyNode()},
		})).To(Succeed())
	}
}

// everyNode is what every agent is asked to dial.
func everyNode() []v1alpha1.Target {
	var targets []v1alpha1.Target
	for i, name := range nodeNames {
		targets = append(targets, v1alpha1.Target{Node: name, Addresses: []string{nodeAddress(i)}})
	}
	return targets
}

// reportAll has the agent on every node report that it reaches all nodes on all
// ports, but for what change adds.
func reportAll(ctx context.Context, change ...func(*v1alpha1.NodeReachabilityStatus)) {
	GinkgoHelper()
	var services corev1.ServiceList
	Expect(k8s.List(ctx, &services)).To(Succeed())
	for _, name := range nodeNames {
		now := metav1.NowMicro()
		report := &v1alpha1.NodeReachability{}
		Expect(k8s.Get(ctx, client.ObjectKey{Name: name}, report)).To(Succeed())
		report.Status = v1alpha1.NodeReachabilityStatus{
			RenewTime:               &now,
			ServicesResourceVersion: services.ResourceVersion,
			NodePorts:               "30000-32767",
		}
		for i := range nodeNames {
			report.Status.Addresses = append(report.Status.Addresses, nodeAddress(i))
		}
		for _, apply := range change {
			apply(&report.Status)
		}
		Expect(k8s.Status().Update(ctx, report)).To(Succeed())
	}
}

// awaitAllObservers waits until the status has heard of every report. An app is Ready by
// the second of three, and that there is another observer is among the words which wait
// for everything else.
func awaitAllObservers(ctx context.Context, app *v1alpha1.ExposedApp) {
	GinkgoHelper()
	Eventually(func(ctx context.Context) []v1alpha1.NodeVerdict {
		return fetch(ctx, app.DeepCopy()).Status.Nodes
	}).WithContext(ctx).WithTimeout(30 * time.Second).Should(HaveEach(HaveField("Observers", "2/2")))
}

// failing makes node-3 refuse a node port.
func failing(nodePort int32) func(*v1alpha1.NodeReachabilityStatus) {
	return func(status *v1alpha1.NodeReachabilityStatus) {
		status.Failures = []v1alpha1.ProbeFailure{{
			Reason: v1alpha1.ReasonConnectionRefused, Message: "connect: connection refused",
			NodePorts: fmt.Sprint(nodePort), Addresses: []string{nodeAddress(2)},
		}}
	}
}

// rollOut plays the Deployment and EndpointSlice controllers: all pods ready,
// one on each node.
func rollOut(ctx context.Context, app *v1alpha1.ExposedApp) {
	GinkgoHelper()
	deployment := &appsv1.Deployment{}
	Eventually(k8s.Get).WithArguments(ctx, client.ObjectKeyFromObject(app), deployment).Should(Succeed())
	replicas := *deployment.Spec.Replicas
	deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation,
		Replicas:           replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas,
		Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}},
	}
	Expect(k8s.Status().Update(ctx, deployment)).To(Succeed())

	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: app.Name, Namespace: app.Namespace,
			Labels: map[string]string{
				discoveryv1.LabelServiceName: app.Name, v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue,
			},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for i, name := range nodeNames {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.1.0.%d", i+1)}, NodeName: &name,
		})
	}
	Expect(k8s.Create(ctx, slice)).To(Succeed())
}

// newNamespace makes a namespace for one spec.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "story-"}}
	Expect(k8s.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}

func createApp(ctx context.Context, namespace, name string, options ...gen.Option) *v1alpha1.ExposedApp {
	GinkgoHelper()
	app := gen.ExposedApp(name, append(options, gen.WithNamespace(namespace))...)
	Expect(k8s.Create(ctx, app)).To(Succeed())
	return app
}

// edit changes an ExposedApp's spec as kubectl does, whatever its status became
// meanwhile.
func edit(ctx context.Context, app *v1alpha1.ExposedApp, change func(*v1alpha1.ExposedApp)) {
	GinkgoHelper()
	before := fetch(ctx, app).DeepCopy()
	change(app)
	Expect(k8s.Patch(ctx, app, client.MergeFrom(before))).To(Succeed())
}

// fetch returns an object as it is now.
func fetch[T client.Object](ctx context.Context, object T) T {
	GinkgoHelper()
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object
}

// conditionOf returns a function that reads a condition as "Status Reason", or
// the empty string while it is absent or of an older generation.
func conditionOf(app *v1alpha1.ExposedApp, kind string) func(context.Context) string {
	return func(ctx context.Context) string {
		now := fetch(ctx, app.DeepCopy())
		condition := meta.FindStatusCondition(now.Status.Conditions, kind)
		if condition == nil || condition.ObservedGeneration != now.Generation {
			return ""
		}
		return fmt.Sprintf("%s %s", condition.Status, condition.Reason)
	}
}

// messageOf returns the message of a condition, or nothing while there is none.
func messageOf(ctx context.Context, app *v1alpha1.ExposedApp, kind string) string {
	GinkgoHelper()
	condition := meta.FindStatusCondition(fetch(ctx, app.DeepCopy()).Status.Conditions, kind)
	if condition == nil {
		return ""
	}
	return condition.Message
}

// kstatusOf is what Flux and Helm make of an ExposedApp.
func kstatusOf(app *v1alpha1.ExposedApp) func(context.Context) (status.Status, error) {
	return func(ctx context.Context) (status.Status, error) {
		now := &v1alpha1.ExposedApp{}
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(app), now); err != nil {
			return "", err
		}
		return kstatus.Of(now)
	}
}
