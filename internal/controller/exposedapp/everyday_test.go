package exposedapp_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

// What people do to the children of an app every day, with kubectl and otherwise.
var _ = Describe("Everyday edits", func() {
	var namespace string
	BeforeEach(func(ctx context.Context) { namespace = newNamespace(ctx) })

	made := func(ctx context.Context, name string, options ...gen.Option) *v1alpha1.ExposedApp {
		GinkgoHelper()
		app := createApp(ctx, namespace, name, options...)
		rollOut(ctx, app)
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		return app
	}
	service := func(app *v1alpha1.ExposedApp) func(context.Context) corev1.ServiceSpec {
		return func(ctx context.Context) corev1.ServiceSpec {
			now := &corev1.Service{}
			if k8s.Get(ctx, client.ObjectKeyFromObject(app), now) != nil {
				return corev1.ServiceSpec{}
			}
			return now.Spec
		}
	}
	patch := func(ctx context.Context, child client.Object, app *v1alpha1.ExposedApp, text string) {
		GinkgoHelper()
		child.SetNamespace(app.Namespace)
		child.SetName(app.Name)
		kind := types.StrategicMergePatchType
		if strings.HasPrefix(text, "[") {
			kind = types.JSONPatchType
		}
		// What kubectl patch is called as, which takes the fields that it writes.
		Expect(k8s.Patch(ctx, child, client.RawPatch(kind, []byte(text)), client.FieldOwner("kubectl-patch"))).To(Succeed())
	}
	own := func(nodePort int32) gomegatypes.GomegaMatcher {
		return ContainElement(SatisfyAll(HaveField("Name", "http"), HaveField("Protocol", corev1.ProtocolTCP),
			HaveField("Port", BeEquivalentTo(80)), HaveField("NodePort", nodePort)))
	}

	DescribeTable("of the Service are undone where they are in the app's way, and left alone elsewhere",
		func(ctx context.Context, text string, left ...string) {
			app := made(ctx, "web")
			nodePort, uid := fetch(ctx, app).Status.NodePort, fetch(ctx, &corev1.Service{ObjectMeta: app.ObjectMeta}).UID
			patch(ctx, &corev1.Service{}, app, strings.ReplaceAll(text, "NODEPORT", fmt.Sprint(nodePort)))
			Eventually(service(app)).WithContext(ctx).Should(SatisfyAll(
				HaveField("Type", corev1.ServiceTypeNodePort), HaveField("Ports", own(nodePort)),
				HaveField("Selector", HaveKeyWithValue(v1alpha1.NameLabel, "web"))))
			Consistently(service(app)).WithContext(ctx).WithTimeout(300 * time.Millisecond).Should(HaveField("Ports", own(nodePort)))
			names := []string{"http"}
			for _, port := range service(app)(ctx).Ports {
				if port.Name != "http" {
					names = append(names, port.Name)
				}
			}
			Expect(names[1:]).To(ConsistOf(left))
			Expect(fetch(ctx, &corev1.Service{ObjectMeta: app.ObjectMeta}).UID).To(Equal(uid), "the same Service")
			Expect(fetch(ctx, app).Status.NodePort).To(Equal(nodePort), "a node port is kept for life")

			reportAll(ctx)
			Eventually(conditionOf(app, "Ready")).WithContext(ctx).Should(Equal("True Ready"))
			Expect(conditionOf(app, "Reconciling")(ctx)).To(BeEmpty())
			Expect(stalledEvents(ctx, app)).To(BeEmpty())
		},
		Entry("a port is put before it", `{"spec":{"ports":[{"name":"metrics","port":9797,"targetPort":9797}]}}`, "metrics"),
		Entry("a UDP port is put before it", `{"spec":{"ports":[{"name":"dns","protocol":"UDP","port":53}]}}`, "dns"),
		Entry("two are", `{"spec":{"ports":[{"name":"dns","protocol":"UDP","port":53},{"name":"metrics","port":9797}]}}`, "dns", "metrics"),
		Entry("a UDP port of its number is", `[{"op":"add","path":"/spec/ports/0","value":{"name":"dns","protocol":"UDP","port":80}}]`, "dns"),
		Entry("a UDP port of its number and node port is",
			`[{"op":"add","path":"/spec/ports/0","value":{"name":"dns","protocol":"UDP","port":80,"nodePort":NODEPORT}}]`, "dns"),
		Entry("another number", `[{"op":"replace","path":"/spec/ports/0/port","value":8080}]`),
		Entry("another number and name",
			`[{"op":"replace","path":"/spec/ports/0/port","value":8080},{"op":"replace","path":"/spec/ports/0/name","value":"web"}]`),
		Entry("another name", `[{"op":"replace","path":"/spec/ports/0/name","value":"web"}]`),
		Entry("another name, and a port of its name",
			`[{"op":"replace","path":"/spec/ports/0/name","value":"web"},{"op":"add","path":"/spec/ports/0","value":{"name":"http","port":8080}}]`),
		Entry("no name", `[{"op":"remove","path":"/spec/ports/0/name"}]`),
		Entry("another protocol", `[{"op":"replace","path":"/spec/ports/0/protocol","value":"UDP"}]`),
		Entry("another node port", `[{"op":"replace","path":"/spec/ports/0/nodePort","value":30061}]`),
		Entry("another target port", `[{"op":"replace","path":"/spec/ports/0/targetPort","value":"http"}]`),
		Entry("another type", `{"spec":{"type":"ClusterIP"}}`),
		Entry("a load balancer's type", `{"spec":{"type":"LoadBalancer","loadBalancerSourceRanges":["10.0.0.0/8"]}}`),
		Entry("an external name's type", `{"spec":{"type":"ExternalName","externalName":"example.com"}}`),
		Entry("another selector", `{"spec":{"selector":{"app":"elsewhere"}}}`),
		Entry("another label and annotation", `{"metadata":{"labels":{"app":"x"},"annotations":{"exposedapp.dev/probe":"{}"}}}`),
	)

	DescribeTable("of the Deployment are undone as well", func(ctx context.Context, text string, left ...string) {
		app := made(ctx, "web", gen.WithEnv("GREETING", "hello"))
		was := fetch(ctx, &appsv1.Deployment{ObjectMeta: app.ObjectMeta}).Spec.Template.Spec
		patch(ctx, &appsv1.Deployment{}, app, text)
		container := func(ctx context.Context) corev1.PodSpec {
			pod := fetch(ctx, &appsv1.Deployment{ObjectMeta: app.ObjectMeta}).Spec.Template.Spec
			var containers []corev1.Container
			for _, container := range pod.Containers {
				if !strings.HasPrefix(container.Name, "side") {
					containers = append(containers, container)
				}
			}
			pod.Containers = containers
			return pod
		}
		Eventually(container).WithContext(ctx).Should(Equal(was))
		Expect(fetch(ctx, &appsv1.Deployment{ObjectMeta: app.ObjectMeta}).Spec.Template.Spec.Containers).To(HaveLen(1 + len(left)))
		Expect(conditionOf(app, "Stalled")(ctx)).To(BeEmpty())
		Expect(stalledEvents(ctx, app)).To(BeEmpty())

		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.App.Image = "example.com/next:1" })
		Eventually(container).WithContext(ctx).Should(HaveField("Containers", ConsistOf(HaveField("Image", "example.com/next:1"))),
			"a later change of the spec has its way")
	},
		Entry("another number of the port",
			`[{"op":"replace","path":"/spec/template/spec/containers/0/ports/0/containerPort","value":8080}]`),
		Entry("another protocol of the port",
			`[{"op":"replace","path":"/spec/template/spec/containers/0/ports/0/protocol","value":"UDP"}]`),
		Entry("a value in place of a source",
			`{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"PODINFO_UI_MESSAGE","value":"hello","valueFrom":null}]}]}}}}`),
		Entry("a source in place of a value",
			`{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"GREETING","value":null,`+
				`"valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}]}}}}`),
		Entry("a source in place of another",
			`[{"op":"replace","path":"/spec/template/spec/containers/0/env/1/valueFrom","value":{"secretKeyRef":{"name":"s","key":"k"}}}]`),
		Entry("a probe of another kind",
			`[{"op":"replace","path":"/spec/template/spec/containers/0/livenessProbe","value":{"exec":{"command":["true"]}}}]`),
		Entry("a probe of a third kind",
			`[{"op":"replace","path":"/spec/template/spec/containers/0/readinessProbe","value":{"tcpSocket":{"port":9898}}}]`),
		Entry("another name of the container", `[{"op":"replace","path":"/spec/template/spec/containers/0/name","value":"web"}]`),
		Entry("another image, beside a new container",
			`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"x"},{"name":"side","image":"y"}]}}}}`, "side"),
		Entry("another order of the variables",
			`[{"op":"move","from":"/spec/template/spec/containers/0/env/1","path":"/spec/template/spec/containers/0/env/0"}]`),
	)

	It("that others made in what cannot be changed back have the child made anew", func(ctx context.Context) {
		app := made(ctx, "web", gen.WithNodePort(30060))
		// What kubectl replace --force does: the same owner, and another selector.
		deployment := fetch(ctx, &appsv1.Deployment{ObjectMeta: app.ObjectMeta})
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(app), deployment)).To(Succeed())
		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.Suspend = new(true) })
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		Expect(k8s.Delete(ctx, deployment.DeepCopy())).To(Succeed())
		again := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web", OwnerReferences: deployment.OwnerReferences},
			Spec:       deployment.Spec,
		}
		again.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
		again.Spec.Template.Labels = map[string]string{"app": "web"}
		Expect(k8s.Create(ctx, again)).To(Succeed())
		headless := fetch(ctx, &corev1.Service{ObjectMeta: app.ObjectMeta})
		Expect(k8s.Delete(ctx, headless.DeepCopy())).To(Succeed())
		Expect(k8s.Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web", OwnerReferences: headless.OwnerReferences},
			Spec:       corev1.ServiceSpec{ClusterIP: "None", Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
		})).To(Succeed())

		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.Suspend = new(false) })
		Eventually(service(app)).WithContext(ctx).Should(SatisfyAll(
			HaveField("Type", corev1.ServiceTypeNodePort), HaveField("Ports", own(30060)), HaveField("ClusterIP", Not(Equal("None")))))
		Eventually(func(ctx context.Context) (*metav1.LabelSelector, error) {
			now := &appsv1.Deployment{}
			err := k8s.Get(ctx, client.ObjectKeyFromObject(app), now)
			return now.Spec.Selector, client.IgnoreNotFound(err)
		}).WithContext(ctx).Should(HaveField("MatchLabels", HaveKey(v1alpha1.NameLabel)))
		Expect(stalledEvents(ctx, app)).To(BeEmpty())
	})

	It("of a node port that somebody else got hold of meanwhile have another one picked", func(ctx context.Context) {
		app := made(ctx, "web")
		nodePort := fetch(ctx, app).Status.NodePort
		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.Suspend = new(true) })
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		Expect(k8s.Delete(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"}})).To(Succeed())
		Expect(k8s.Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
			Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: nodePort}},
			},
		})).To(Succeed())
		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.Suspend = new(false) })
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		Expect(fetch(ctx, app).Status.NodePort).NotTo(Equal(nodePort))
	})

	It("wait for the children of a former app of the name", func(ctx context.Context) {
		owner := func(name string) metav1.ObjectMeta {
			return metav1.ObjectMeta{Namespace: namespace, Name: name, OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "ExposedApp", Name: "web", UID: "former", Controller: new(true),
			}}}
		}
		former := &corev1.Service{ObjectMeta: owner("web"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
		former.Finalizers = []string{"example.com/slow"}
		Expect(k8s.Create(ctx, former)).To(Succeed())
		app := createApp(ctx, namespace, "web")
		Eventually(conditionOf(app, "Reconciling")).WithContext(ctx).Should(Equal("True Pending"))
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("False Pending"))
		Expect(messageOf(ctx, app, "Ready")).To(ContainSubstring("of a former ExposedApp"))
		Expect(k8s.Delete(ctx, former)).To(Succeed())
		Consistently(kstatusOf(app)).WithContext(ctx).WithTimeout(500 * time.Millisecond).Should(Equal(kstatus.InProgress))
		Expect(conditionOf(app, "Stalled")(ctx)).To(BeEmpty())

		patch(ctx, &corev1.Service{}, app, `[{"op":"remove","path":"/metadata/finalizers"}]`)
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		Expect(stalledEvents(ctx, app)).To(BeEmpty())
	})
})

// What passes by itself is no reason to give up, and its end is seen within seconds.
var _ = Describe("A refusal of the cluster", func() {
	var namespace string
	BeforeEach(func(ctx context.Context) { namespace = newNamespace(ctx) })
	soon := 15 * time.Second

	It("by a quota ends when that is raised", func(ctx context.Context) {
		few := corev1.ResourceList{corev1.ResourceServicesNodePorts: resource.MustParse("0")}
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: few},
		}
		Expect(k8s.Create(ctx, quota)).To(Succeed())
		// There is no controller here that counts.
		quota.Status = corev1.ResourceQuotaStatus{Hard: few, Used: corev1.ResourceList{corev1.ResourceServicesNodePorts: resource.MustParse("0")}}
		Expect(k8s.Status().Update(ctx, quota)).To(Succeed())
		app := createApp(ctx, namespace, "web")
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("False ApplyFailed"))
		Expect(messageOf(ctx, app, "Ready")).To(ContainSubstring("exceeded quota: few"))
		Expect(conditionOf(app, "Stalled")(ctx)).To(BeEmpty())
		Expect(kstatusOf(app)(ctx)).To(Equal(kstatus.InProgress))
		sent := writes.in(namespace)
		for i := range 10 {
			Expect(k8s.Patch(ctx, app.DeepCopy(), client.RawPatch(types.MergePatchType,
				fmt.Appendf(nil, `{"metadata":{"annotations":{"woken":"%d"}}}`, i)))).To(Succeed())
		}
		Consistently(func() int { return writes.in(namespace) - sent }).WithTimeout(time.Second).
			Should(BeNumerically("<=", 1), "what was decided is not asked whenever the app is woken")
		many := corev1.ResourceList{corev1.ResourceServicesNodePorts: resource.MustParse("5")}
		quota.Spec.Hard = many
		Expect(k8s.Update(ctx, quota)).To(Succeed())
		quota.Status.Hard = many
		Expect(k8s.Status().Update(ctx, quota)).To(Succeed())
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).WithTimeout(soon).Should(Equal("True Allocated"))
	})

	It("by a policy ends with that", func(ctx context.Context) {
		policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: namespace},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll},
						Rule: admissionregistrationv1.Rule{
							APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"},
						},
					},
				}}},
				Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: "not today"}},
			},
		}
		Expect(k8s.Create(ctx, policy)).To(Succeed())
		DeferCleanup(func(ctx context.Context) error { return client.IgnoreNotFound(k8s.Delete(ctx, policy)) })
		binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: namespace},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: namespace, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
				MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
					MatchLabels: map[string]string{corev1.LabelMetadataName: namespace},
				}},
			},
		}
		Expect(k8s.Create(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx context.Context) error { return client.IgnoreNotFound(k8s.Delete(ctx, binding)) })
		Eventually(func(ctx context.Context) error {
			return k8s.Create(ctx, &appsv1.Deployment{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"},
				Spec: appsv1.DeploymentSpec{
					Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
					Template: corev1.PodTemplateSpec{
						ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
						Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
					},
				},
			}, client.DryRunAll)
		}).WithContext(ctx).WithTimeout(soon).Should(MatchError(ContainSubstring("not today")))

		app := createApp(ctx, namespace, "web")
		Eventually(conditionOf(app, "Available")).WithContext(ctx).Should(Equal("False ApplyFailed"))
		Expect(messageOf(ctx, app, "Ready")).To(SatisfyAll(ContainSubstring("not today"), Not(ContainSubstring("correct"))))
		Expect(conditionOf(app, "Stalled")(ctx)).To(BeEmpty())
		Expect(k8s.Delete(ctx, binding)).To(Succeed())
		Eventually(func(ctx context.Context) error {
			return k8s.Get(ctx, client.ObjectKeyFromObject(app), &appsv1.Deployment{})
		}).WithContext(ctx).WithTimeout(soon + 10*time.Second).Should(Succeed())
	})
})

// Node ports that apps exchange with each other: a valid declaration, whatever the order
// in which the operator hears of it. The API server picks none below 30086 as long as there
// are others, so that no other story has one of these.
var _ = Describe("Apps that change node ports with each other", func() {
	ports := func(apps []*v1alpha1.ExposedApp) func(context.Context) []int32 {
		return func(ctx context.Context) []int32 {
			var held []int32
			for _, app := range apps {
				service := fetch(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}})
				for _, port := range service.Spec.Ports {
					if port.Name == "http" {
						held = append(held, port.NodePort)
					}
				}
			}
			return held
		}
	}
	DescribeTable("have them within seconds, and nobody is stalled",
		func(ctx context.Context, before, after []int32, apart bool, more string) {
			namespace := newNamespace(ctx)
			var apps []*v1alpha1.ExposedApp
			var uids []types.UID
			for i, nodePort := range before {
				in := namespace
				if apart {
					in = newNamespace(ctx)
				}
				app := createApp(ctx, in, fmt.Sprintf("app-%d", i), gen.WithNodePort(nodePort))
				apps = append(apps, app)
				Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
				service := fetch(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: app.Name}})
				uids = append(uids, service.UID)
				if more != "" {
					Expect(k8s.Patch(ctx, service, client.RawPatch(types.StrategicMergePatchType, []byte(more)))).To(Succeed())
				}
			}
			for i, nodePort := range after {
				edit(ctx, apps[i], func(app *v1alpha1.ExposedApp) { app.Spec.NodePort = new(nodePort) })
			}
			Eventually(ports(apps)).WithContext(ctx).Should(Equal(after))
			for i, app := range apps {
				Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
				Expect(fetch(ctx, app).Status.NodePort).To(Equal(after[i]))
				Expect(stalledEvents(ctx, app)).To(BeEmpty())
				service := fetch(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}})
				Expect(service.UID).To(Equal(uids[i]), "the same Service")
			}
		},
		Entry("two", []int32{30040, 30041}, []int32{30041, 30040}, false, ""),
		Entry("two in different namespaces", []int32{30042, 30043}, []int32{30043, 30042}, true, ""),
		Entry("a ring of three", []int32{30044, 30045, 30046}, []int32{30045, 30046, 30044}, true, ""),
		Entry("a ring of three, the other way round", []int32{30047, 30048, 30049}, []int32{30049, 30047, 30048}, false, ""),
		Entry("a row that moves on by one", []int32{30050, 30051, 30052}, []int32{30051, 30052, 30053}, false, ""),
		Entry("two whose Services have other ports as well", []int32{30054, 30055}, []int32{30055, 30054}, false,
			`{"spec":{"ports":[{"name":"metrics","port":9797}]}}`),
	)

	It("are told of, where one of them cannot", func(ctx context.Context) {
		namespace := newNamespace(ctx)
		a := createApp(ctx, namespace, "a", gen.WithNodePort(30056))
		b := createApp(ctx, namespace, "b", gen.WithNodePort(30057))
		for _, app := range []*v1alpha1.ExposedApp{a, b} {
			Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		}
		edit(ctx, b, func(app *v1alpha1.ExposedApp) {
			app.Spec.NodePort = new(int32(30056))
			app.Spec.Service.IPFamilyPolicy = corev1.IPFamilyPolicyRequireDualStack
		})
		edit(ctx, a, func(app *v1alpha1.ExposedApp) { app.Spec.NodePort = new(int32(30057)) })
		Eventually(conditionOf(a, "Stalled")).WithContext(ctx).Should(Equal("True PortConflict"))
		Expect(ports([]*v1alpha1.ExposedApp{a, b})(ctx)).To(Equal([]int32{30056, 30057}))
		edit(ctx, b, func(app *v1alpha1.ExposedApp) { app.Spec.Service.IPFamilyPolicy = corev1.IPFamilyPolicySingleStack })
		Eventually(ports([]*v1alpha1.ExposedApp{a, b})).WithContext(ctx).Should(Equal([]int32{30057, 30056}))
	})
})

// stalledEvents are the Events by which an app was given up.
func stalledEvents(ctx context.Context, app *v1alpha1.ExposedApp) ([]string, error) {
	var events eventsv1.EventList
	err := k8s.List(ctx, &events, client.InNamespace(app.Namespace))
	var told []string
	for _, event := range events.Items {
		if event.Regarding.Name == app.Name && event.Action == v1alpha1.ConditionStalled {
			told = append(told, event.Note)
		}
	}
	return told, err
}
