package exposedapp_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

var _ = Describe("An ExposedApp", func() {
	var namespace string
	BeforeEach(func(ctx context.Context) { namespace = newNamespace(ctx) })

	create := func(ctx context.Context, name string, options ...gen.Option) *v1alpha1.ExposedApp {
		GinkgoHelper()
		return createApp(ctx, namespace, name, options...)
	}
	healthy := func(ctx context.Context, name string, options ...gen.Option) *v1alpha1.ExposedApp {
		GinkgoHelper()
		app := create(ctx, name, options...)
		rollOut(ctx, app)
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		reportAll(ctx)
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
		awaitAllObservers(ctx, app)
		return app
	}

	It("becomes Ready when its pods run and the nodes answer", func(ctx context.Context) {
		app := create(ctx, "web", gen.WithReplicas(3))
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(HavePrefix("False"))
		for _, kind := range []string{"Available", "PortAllocated", "Reachable", "Reconciling"} {
			Expect(conditionOf(app, kind)(ctx)).NotTo(BeEmpty(), kind)
		}
		Expect(kstatusOf(app)(ctx)).To(Equal(kstatus.InProgress))

		rollOut(ctx, app)
		reportAll(ctx)
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
		Expect(kstatusOf(app)(ctx)).To(Equal(kstatus.Current))
		Expect(conditionOf(app, "Reconciling")(ctx)).To(BeEmpty())
		now := fetch(ctx, app)
		Expect(now.Status.ReplicasSummary).To(Equal("3/3"))
		Expect(now.Status.Reachability.Summary).To(Equal("3/3"))
		Expect(now.Status.Nodes).To(HaveEach(HaveField("State", v1alpha1.NodeReachable)))
		awaitAllObservers(ctx, app)
	})

	It("tells which node does not answer, and when it does again", func(ctx context.Context) {
		app := healthy(ctx, "web")
		nodePort := fetch(ctx, app).Status.NodePort
		// A Service that just changed is given time; let it pass.
		Eventually(func(ctx context.Context) string {
			reportAll(ctx, failing(nodePort))
			return conditionOf(app, "Reachable")(ctx)
		}).WithContext(ctx).WithPolling(500 * time.Millisecond).Should(Equal("False NodesUnreachable"))
		Expect(conditionOf(app, "Ready")(ctx)).To(HavePrefix("False"))
		Expect(kstatusOf(app)(ctx)).To(Equal(kstatus.InProgress))
		now := fetch(ctx, app)
		Expect(now.Status.Reachability.Summary).To(Equal("2/3"))
		Expect(now.Status.Nodes[0]).To(SatisfyAll(HaveField("Node", "node-3"),
			HaveField("Reason", "ConnectionRefused"), HaveField("Message", ContainSubstring("connection refused"))))

		reportAll(ctx)
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
	})

	It("leaves out the nodes that spec.expectedNodes does not select, and follows their labels", func(ctx context.Context) {
		label := func(ctx context.Context, value string) {
			GinkgoHelper()
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-3"}}
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"labels": {"type": `+value+`}}}`))
			Expect(k8s.Patch(ctx, node, patch)).To(Succeed())
		}
		DeferCleanup(func(ctx context.Context) { label(ctx, "null") })
		app := healthy(ctx, "web", func(app *v1alpha1.ExposedApp) {
			app.Spec.ExpectedNodes = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: "type", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"virtual"}},
			}}
		})
		Expect(fetch(ctx, app).Status.Reachability.Summary).To(Equal("3/3"))
		label(ctx, `"virtual"`)
		Eventually(func(ctx context.Context) string {
			return fetch(ctx, app).Status.Reachability.Summary
		}).WithContext(ctx).Should(Equal("2/2"))
		Expect(fetch(ctx, app).Status.Nodes).To(ContainElement(SatisfyAll(HaveField("Node", "node-3"),
			HaveField("Expected", false), HaveField("Reason", "NodeExcluded"))))
		Expect(conditionOf(app, "Ready")(ctx)).To(Equal("True Ready"))
		label(ctx, "null")
		Eventually(func(ctx context.Context) string {
			return fetch(ctx, app).Status.Reachability.Summary
		}).WithContext(ctx).Should(Equal("3/3"))
	})

	It("never takes back what it told of an edit, with reports that come meanwhile", func(ctx context.Context) {
		app := healthy(ctx, "web")
		nodePort := fetch(ctx, app).Status.NodePort
		watcher, err := client.NewWithWatch(config, client.Options{Scheme: newScheme()})
		Expect(err).NotTo(HaveOccurred())
		apps := &v1alpha1.ExposedAppList{}
		Expect(watcher.List(ctx, apps, client.InNamespace(namespace))).To(Succeed())
		changes, err := watcher.Watch(ctx, apps, client.InNamespace(namespace),
			&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: apps.ResourceVersion}})
		Expect(err).NotTo(HaveOccurred())
		defer changes.Stop()

		const edits = 30
		for i := range edits {
			edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.MinReachable = new(intstr.FromInt(1 + i%3)) })
			if i%2 == 0 {
				reportAll(ctx, failing(nodePort))
			} else {
				reportAll(ctx)
			}
		}
		last := fetch(ctx, app).Generation
		told, generation := int64(0), int64(0)
		for told < last {
			var change watch.Event
			Eventually(ctx, changes.ResultChan()).Should(Receive(&change))
			now := change.Object.(*v1alpha1.ExposedApp)
			Expect(now.Generation).To(BeNumerically(">=", generation), "the API server's own order")
			Expect(now.Status.ObservedGeneration).To(And(BeNumerically(">=", told), BeNumerically("<=", now.Generation)))
			for _, condition := range now.Status.Conditions {
				Expect(condition.ObservedGeneration).To(BeNumerically("<=", now.Status.ObservedGeneration), condition.Type)
			}
			told, generation = now.Status.ObservedGeneration, now.Generation
		}
		Expect(last).To(BeNumerically(">=", edits), "each edit is one of the spec")
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
	})

	It("is Ready with as many nodes as spec.minReachable asks for", func(ctx context.Context) {
		app := healthy(ctx, "web", gen.WithMinReachable(intstr.FromInt32(2)))
		nodePort := fetch(ctx, app).Status.NodePort
		Eventually(func(ctx context.Context) string {
			reportAll(ctx, failing(nodePort))
			return conditionOf(app, "Reachable")(ctx)
		}).WithContext(ctx).WithPolling(500 * time.Millisecond).Should(Equal("False NodesUnreachable"))
		Expect(conditionOf(app, "Ready")(ctx)).To(Equal("True Ready"))
	})

	It("repairs what others change in its children, and leaves what they add", func(ctx context.Context) {
		app := healthy(ctx, "web", gen.WithReplicas(2))
		service := fetch(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: app.Name, Namespace: namespace}})
		nodePort := service.Spec.Ports[0].NodePort
		service.Spec.Selector = map[string]string{"app": "elsewhere"}
		service.Labels["team"] = "blue"
		Expect(k8s.Update(ctx, service)).To(Succeed())
		Eventually(func(ctx context.Context) map[string]string {
			return fetch(ctx, service).Spec.Selector
		}).WithContext(ctx).Should(Equal(map[string]string{v1alpha1.NameLabel: "web"}))
		Expect(service.Labels).To(HaveKeyWithValue("team", "blue"))

		deployment := fetch(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: app.Name, Namespace: namespace}})
		deployment.Spec.Replicas = new(int32(7))
		Expect(k8s.Update(ctx, deployment)).To(Succeed())
		Eventually(func(ctx context.Context) int32 {
			return *fetch(ctx, deployment).Spec.Replicas
		}).WithContext(ctx).Should(Equal(int32(2)))

		Expect(k8s.Delete(ctx, service)).To(Succeed())
		Eventually(func(ctx context.Context) (int32, error) {
			again := &corev1.Service{}
			err := k8s.Get(ctx, client.ObjectKeyFromObject(service), again)
			if err != nil {
				return 0, client.IgnoreNotFound(err)
			}
			return again.Spec.Ports[0].NodePort, nil
		}).WithContext(ctx).Should(Equal(nodePort), "an allocated port is kept for life")
	})

	It("removes from its children what its spec no longer has", func(ctx context.Context) {
		app := create(ctx, "web", gen.WithEnv("GREETING", "hello"))
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: app.Name, Namespace: namespace}}
		names := func(ctx context.Context) []string {
			var names []string
			if k8s.Get(ctx, client.ObjectKeyFromObject(deployment), deployment) == nil {
				for _, variable := range deployment.Spec.Template.Spec.Containers[0].Env {
					names = append(names, variable.Name)
				}
			}
			return names
		}
		Eventually(names).WithContext(ctx).Should(ContainElement("GREETING"))
		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.App.Env = nil })
		Eventually(names).WithContext(ctx).Should(Equal([]string{"PODINFO_UI_MESSAGE"}))
	})

	It("touches no child while suspended, and goes on to tell the truth", func(ctx context.Context) {
		app := healthy(ctx, "web")
		edit(ctx, app, func(app *v1alpha1.ExposedApp) {
			app.Spec.Suspend = new(true)
			app.Spec.App.Replicas = new(int32(5))
		})
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
		deployment := fetch(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: app.Name, Namespace: namespace}})
		Expect(*deployment.Spec.Replicas).To(Equal(int32(1)))
	})

	It("says what the API server has against the app", func(ctx context.Context) {
		app := create(ctx, "web", gen.WithEnv("not=a=name", "x"))
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("False InvalidApp"))
		Expect(messageOf(ctx, app, "Ready")).To(ContainSubstring("env[0].name"))
		Expect(kstatusOf(app)(ctx)).To(Equal(kstatus.Failed))
	})

	It("says that a cluster of one IP family has no two of them", func(ctx context.Context) {
		app := create(ctx, "web", gen.WithIPFamilyPolicy(corev1.IPFamilyPolicyRequireDualStack))
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("False InvalidApp"))
		Expect(messageOf(ctx, app, "Ready")).To(SatisfyAll(
			ContainSubstring("spec.ipFamilyPolicy"), ContainSubstring("not configured for dual-stack")))
		Expect(kstatusOf(app)(ctx)).To(Equal(kstatus.Failed))

		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.Service.IPFamilyPolicy = corev1.IPFamilyPolicyPreferDualStack })
		rollOut(ctx, app)
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		reportAll(ctx)
		Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
	})

	It("tells its transitions as Events", func(ctx context.Context) {
		app := healthy(ctx, "web")
		Eventually(func(ctx context.Context) ([]string, error) {
			var events eventsv1.EventList
			err := k8s.List(ctx, &events, client.InNamespace(namespace))
			var told []string
			for _, event := range events.Items {
				if event.Regarding.Name == app.Name {
					told = append(told, event.Action+" "+event.Reason)
				}
			}
			return told, err
		}).WithContext(ctx).Should(ContainElements("PortAllocated Allocated", "Ready Ready", "Reachable AllReachable"))
	})

	It("tells which node no longer answers, and when it does again, as Events", func(ctx context.Context) {
		app := healthy(ctx, "web", gen.WithNodePort(30021))
		told := func(ctx context.Context) ([]string, error) {
			var events eventsv1.EventList
			err := k8s.List(ctx, &events, client.InNamespace(namespace))
			var told []string
			for _, event := range events.Items {
				if event.Regarding.Name == app.Name && event.Related != nil {
					told = append(told, event.Type+" "+event.Reason+" "+event.Related.Kind+" "+event.Related.Name)
				}
			}
			return told, err
		}
		reportAll(ctx, failing(30021))
		Eventually(told).WithContext(ctx).Should(ConsistOf("Warning ConnectionRefused Node node-3"))
		reportAll(ctx)
		Eventually(told).WithContext(ctx).Should(ConsistOf(
			"Warning ConnectionRefused Node node-3", "Normal Reachable Node node-3"))
	})

	It("is not written while nothing changes, not even by an operator that starts anew", func(ctx context.Context) {
		app := healthy(ctx, "web", gen.WithNodePort(30020), func(app *v1alpha1.ExposedApp) {
			// What the API server completes by itself is no drift.
			app.Spec.App.Env = []corev1.EnvVar{
				{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
				{Name: "CPU", ValueFrom: &corev1.EnvVarSource{
					ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"},
				}},
			}
			app.Spec.App.Resources = &corev1.ResourceRequirements{
				Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("0.5")},
			}
		})
		key := client.ObjectKeyFromObject(app)
		versions := func(ctx context.Context) []string {
			var versions []string
			for _, object := range []client.Object{&v1alpha1.ExposedApp{}, &appsv1.Deployment{}, &corev1.Service{}} {
				Expect(k8s.Get(ctx, key, object)).To(Succeed())
				versions = append(versions, object.GetResourceVersion())
			}
			return versions
		}
		before, sent := versions(ctx), writes.in(namespace)
		rolledOut := fetch(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: app.Name, Namespace: namespace}})
		rolledOut.Labels["team"] = "blue"
		Expect(k8s.Update(ctx, rolledOut)).To(Succeed())
		before[1] = rolledOut.ResourceVersion
		stopOperator()
		startOperator()
		// No agent is there to report again: what it has to go by is listed.
		Consistently(versions).WithContext(ctx).WithTimeout(3 * time.Second).Should(Equal(before))
		By("reporting what changes nothing")
		reportAll(ctx)
		Consistently(versions).WithContext(ctx).WithTimeout(2 * time.Second).Should(Equal(before))
		Expect(writes.in(namespace)).To(Equal(sent), "no request, not even one without effect")
	})
})
