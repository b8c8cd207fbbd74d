package exposedapp_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/trouble"
	"github.com/exposedapp/exposedapp/test/gen"
)

var _ = Describe("The pods of an ExposedApp", func() {
	var namespace string
	BeforeEach(func(ctx context.Context) { namespace = newNamespace(ctx) })

	child := func(ctx context.Context, name string) *appsv1.Deployment {
		GinkgoHelper()
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		Eventually(k8s.Get).WithArguments(ctx, client.ObjectKeyFromObject(deployment), deployment).Should(Succeed())
		return deployment
	}
	ready := func(ctx context.Context, name string, options ...gen.Option) *v1alpha1.ExposedApp {
		GinkgoHelper()
		app := createApp(ctx, namespace, name, options...)
		rollOut(ctx, app)
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		reportAll(ctx)
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
		awaitAllObservers(ctx, app)
		return app
	}

	It("are looked at while they are missing, seldom, and by the next operator as well", func(ctx context.Context) {
		app := createApp(ctx, namespace, "web", gen.WithImage("registry.example.com/web:2"))
		available(ctx, child(ctx, "web"), 0)
		createFailingPod(ctx, app, "not found")
		message := func(ctx context.Context) string { return messageOf(ctx, app, "Ready") }
		const cause = `image "registry.example.com/web:2" cannot be pulled: ErrImagePull: not found`
		Eventually(message).WithContext(ctx).Should(HaveSuffix(": " + cause))
		Expect(messageOf(ctx, app, "Reconciling")).To(HaveSuffix(": "+cause), "Flux and Helm show this one")
		Expect(writes.podsIn(namespace)).To(HaveExactElements(SatisfyAll(
			HaveKeyWithValue("limit", []string{"5"}), Not(HaveKey("watch")),
			HaveKeyWithValue("labelSelector", []string{"exposedapp.dev/name=web"}))))

		version := func(ctx context.Context) string { return fetch(ctx, app.DeepCopy()).ResourceVersion }
		settled := version(ctx)
		stopOperator()
		startOperator()
		// The apps of other stories wait for a look as well.
		Eventually(func() int { return len(writes.podsIn(namespace)) }).WithContext(ctx).
			WithTimeout(30 * time.Second).Should(Equal(2))
		Consistently(version).WithContext(ctx).WithTimeout(2 * time.Second).Should(Equal(settled))

		rollOut(ctx, app)
		reportAll(ctx)
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
		Consistently(func() int { return len(writes.podsIn(namespace)) }).WithContext(ctx).
			WithTimeout(6 * time.Second).Should(Equal(2))
	})

	It("must all be there for it to be Ready", func(ctx context.Context) {
		app := ready(ctx, "web", gen.WithReplicas(8))
		available(ctx, child(ctx, "web"), 6)
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("False RolloutInProgress"))
		Expect(conditionOf(app, "Available")(ctx)).To(Equal("True MinimumReplicasAvailable"))
		Expect(messageOf(ctx, app, "Ready")).To(HavePrefix("6 of 8 pods are available"))
		available(ctx, child(ctx, "web"), 8)
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
	})

	It("are scaled by one only, or the other one is named", func(ctx context.Context) {
		app := ready(ctx, "web", gen.WithReplicas(2))
		for range 3 {
			body := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 5}}
			Expect(k8s.SubResource("scale").Update(ctx, child(ctx, "web"),
				client.WithSubResourceBody(body), client.FieldOwner("greedy"))).To(Succeed())
			Eventually(func(ctx context.Context) int32 { return *child(ctx, "web").Spec.Replicas }).WithContext(ctx).
				Should(Equal(int32(2)))
		}
		available(ctx, child(ctx, "web"), 2)
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
		Eventually(messageOf).WithContext(ctx).WithArguments(app, "Ready").
			Should(HaveSuffix(`; "greedy" sets the Deployment's replicas again and again, and the operator sets them back ` +
				"to 2: have it scale the ExposedApp"))
	})

	It("stay as they are while somebody pauses the rollout, who is told how to go on", func(ctx context.Context) {
		app := ready(ctx, "web")
		deployment := child(ctx, "web")
		deployment.Spec.Paused = true
		Expect(k8s.Update(ctx, deployment)).To(Succeed())
		available(ctx, deployment, 1)
		Eventually(messageOf).WithContext(ctx).WithArguments(app, "Ready").
			Should(HaveSuffix("; rollouts are paused: kubectl rollout resume deployment/web"))
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))

		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.App.Image = "registry.example.com/web:2" })
		Eventually(func(ctx context.Context) string {
			return child(ctx, "web").Spec.Template.Spec.Containers[0].Image
		}).WithContext(ctx).Should(Equal("registry.example.com/web:2"))
		deployment = child(ctx, "web")
		deployment.Status.ObservedGeneration, deployment.Status.UpdatedReplicas = deployment.Generation, 0
		Expect(k8s.Status().Update(ctx, deployment)).To(Succeed())
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("False RolloutPaused"))
		Expect(child(ctx, "web").Spec.Paused).To(BeTrue(), "that is not the operator's to change")
	})

	It("may run under the level restricted, once told that they are not root", func(ctx context.Context) {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		Expect(k8s.Patch(ctx, object, client.RawPatch(types.MergePatchType,
			[]byte(`{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`)))).To(Succeed())
		admit := func(name string) error {
			template := child(ctx, name).Spec.Template
			return k8s.Create(ctx, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "web-", Labels: template.Labels},
				Spec:       template.Spec,
			}, client.DryRunAll)
		}
		createApp(ctx, namespace, "plain")
		err := admit("plain")
		Expect(err).To(MatchError(ContainSubstring("violates PodSecurity")))
		Expect(trouble.OfRefusal(err.Error()).Text).To(HaveSuffix(": set spec.app.securityContext.runAsNonRoot: true, " +
			"and runAsUser (a number) where the image names its user by name"))

		createApp(ctx, namespace, "told", func(app *v1alpha1.ExposedApp) {
			app.Spec.App.SecurityContext = &corev1.SecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(1000))}
		})
		Expect(admit("told")).To(Succeed())
	})
})

// available plays the Deployment controller: all pods of the newest revision are there,
// and some of them are available.
func available(ctx context.Context, deployment *appsv1.Deployment, ready int32) {
	GinkgoHelper()
	replicas, enough := *deployment.Spec.Replicas, corev1.ConditionFalse
	if ready >= replicas-replicas/4 {
		enough = corev1.ConditionTrue
	}
	deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation,
		Replicas:           replicas, UpdatedReplicas: replicas, ReadyReplicas: ready, AvailableReplicas: ready,
		Conditions: []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: enough},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "ReplicaSetUpdated"},
		},
	}
	if enough == corev1.ConditionTrue {
		deployment.Status.Conditions[1].Reason = "NewReplicaSetAvailable"
	}
	Expect(k8s.Status().Update(ctx, deployment)).To(Succeed())
}

// createFailingPod plays the ReplicaSet controller and the kubelet, which cannot pull the
// image.
func createFailingPod(ctx context.Context, app *v1alpha1.ExposedApp, words string) {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: app.Namespace, Name: app.Name + "-5c-x2x7k",
			Labels: map[string]string{v1alpha1.NameLabel: app.Name, "pod-template-hash": "5c"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app.Name + "-5c", UID: "77aa", Controller: new(true),
			}},
		},
		Spec: corev1.PodSpec{
			NodeName: nodeNames[0], Containers: []corev1.Container{{Name: "app", Image: app.Spec.App.Image}},
			AutomountServiceAccountToken: new(false),
		},
	}
	Expect(k8s.Create(ctx, pod)).To(Succeed())
	pod.Status.Phase = corev1.PodPending
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "app", Image: app.Spec.App.Image,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: words}},
	}}
	Expect(k8s.Status().Update(ctx, pod)).To(Succeed())
}
