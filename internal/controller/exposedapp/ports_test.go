package exposedapp_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

var _ = Describe("The node port", func() {
	var namespace string
	BeforeEach(func(ctx context.Context) { namespace = newNamespace(ctx) })

	create := func(ctx context.Context, name string, options ...gen.Option) *v1alpha1.ExposedApp {
		GinkgoHelper()
		return createApp(ctx, namespace, name, options...)
	}
	foreign := func(ctx context.Context, name string, nodePort int32) *corev1.Service {
		GinkgoHelper()
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
			Spec: corev1.ServiceSpec{
				Type:  corev1.ServiceTypeNodePort,
				Ports: []corev1.ServicePort{{Port: 80, NodePort: nodePort}},
			},
		}
		Expect(k8s.Create(ctx, service)).To(Succeed())
		return service
	}
	service := func(app *v1alpha1.ExposedApp) func(context.Context) *corev1.Service {
		return func(ctx context.Context) *corev1.Service {
			service := &corev1.Service{}
			if k8s.Get(ctx, client.ObjectKeyFromObject(app), service) != nil {
				return nil
			}
			return service
		}
	}
	holds := func(nodePort int32) gomegatypes.GomegaMatcher {
		return HaveField("Spec.Ports", ConsistOf(HaveField("NodePort", nodePort)))
	}

	It("waits for a Service that holds it, and has it as soon as that goes", func(ctx context.Context) {
		holder := foreign(ctx, "shop", 30000)
		app := create(ctx, "web", gen.WithNodePort(30000))
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("False PortConflict"))
		Expect(messageOf(ctx, app, "PortAllocated")).To(HavePrefix("30000 is held by Service " + namespace + "/shop: "))
		Expect(conditionOf(app, "Stalled")(ctx)).To(Equal("True PortConflict"))
		Expect(conditionOf(app, "Reconciling")(ctx)).To(BeEmpty())
		Expect(kstatusOf(app)(ctx)).To(Equal(kstatus.Failed))

		Expect(k8s.Delete(ctx, holder)).To(Succeed())
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		Expect(conditionOf(app, "Stalled")(ctx)).To(BeEmpty())
	})

	It("waits for a Service that moves away as well", func(ctx context.Context) {
		holder := foreign(ctx, "shop", 30001)
		app := create(ctx, "web", gen.WithNodePort(30001))
		Eventually(conditionOf(app, "Stalled")).WithContext(ctx).Should(Equal("True PortConflict"))
		holder.Spec.Ports[0].NodePort = 30002
		Expect(k8s.Update(ctx, holder)).To(Succeed())
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
	})

	It("is refused outside the cluster's range", func(ctx context.Context) {
		app := create(ctx, "web", gen.WithNodePort(8080))
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("False PortOutOfRange"))
		Expect(messageOf(ctx, app, "Ready")).To(SatisfyAll(
			ContainSubstring("8080"), ContainSubstring("30000-32767"), ContainSubstring("spec.nodePort")))
		Expect(kstatusOf(app)(ctx)).To(Equal(kstatus.Failed))

		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.NodePort = new(int32(30003)) })
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
	})

	It("stays with the older of two ExposedApps, and the younger says so", func(ctx context.Context) {
		first := create(ctx, "a", gen.WithNodePort(30004))
		Eventually(conditionOf(first, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		second := create(ctx, "b", gen.WithNodePort(30004))
		Eventually(conditionOf(second, "PortAllocated")).WithContext(ctx).Should(Equal("False PortConflict"))
		Expect(messageOf(ctx, second, "PortAllocated")).To(ContainSubstring(namespace + "/a"))
		Expect(service(first)(ctx)).To(holds(30004))

		edit(ctx, first, func(app *v1alpha1.ExposedApp) { app.Spec.NodePort = new(int32(30005)) })
		Eventually(conditionOf(second, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		Expect(conditionOf(first, "PortAllocated")(ctx)).To(Equal("True Allocated"))
	})

	It("moves in place", func(ctx context.Context) {
		app := create(ctx, "web", gen.WithNodePort(30006))
		Eventually(service(app)).WithContext(ctx).Should(holds(30006))
		uid := service(app)(ctx).UID
		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.NodePort = new(int32(30007)) })
		Eventually(service(app)).WithContext(ctx).Should(holds(30007))
		Expect(service(app)(ctx).UID).To(Equal(uid), "the same Service")
	})

	It("is kept when the spec no longer names it", func(ctx context.Context) {
		app := create(ctx, "web", gen.WithNodePort(30008))
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		edit(ctx, app, func(app *v1alpha1.ExposedApp) {
			app.Spec.NodePort = nil
			app.Spec.Service.Port = 8080
		})
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		Expect(service(app)(ctx)).To(holds(30008))
	})

	It("stays where it was while the new one is taken", func(ctx context.Context) {
		foreign(ctx, "shop", 30009)
		app := create(ctx, "web", gen.WithNodePort(30010))
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		edit(ctx, app, func(app *v1alpha1.ExposedApp) { app.Spec.NodePort = new(int32(30009)) })
		Eventually(conditionOf(app, "PortAllocated")).WithContext(ctx).Should(Equal("False PortConflict"))
		Expect(fetch(ctx, app).Status.NodePort).To(Equal(int32(30010)))
		Expect(service(app)(ctx)).To(holds(30010))
	})

	It("passes on within a second, and the word on the former app does not", func(ctx context.Context) {
		first := create(ctx, "a", gen.WithNodePort(30011))
		rollOut(ctx, first)
		Eventually(conditionOf(first, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		reportAll(ctx)
		Eventually(conditionOf(first, "Reachable")).WithContext(ctx).Should(Equal("True AllReachable"))

		second := create(ctx, "b", gen.WithNodePort(30011))
		Eventually(conditionOf(second, "Stalled")).WithContext(ctx).Should(Equal("True PortConflict"))
		Expect(k8s.Delete(ctx, first)).To(Succeed())
		Eventually(conditionOf(second, "Stalled")).WithContext(ctx).Should(BeEmpty(), "the port is on its way")
		// There is no garbage collector here.
		Expect(k8s.Delete(ctx, &corev1.Service{ObjectMeta: first.ObjectMeta})).To(Succeed())
		Eventually(conditionOf(second, "PortAllocated")).WithContext(ctx).Should(Equal("True Allocated"))
		rollOut(ctx, second)
		Eventually(conditionOf(second, "Reachable")).WithContext(ctx).Should(Equal("Unknown Pending"))

		reportAll(ctx)
		Eventually(conditionOf(second, "Reachable")).WithContext(ctx).Should(Equal("True AllReachable"))
	})

	DescribeTable("leaves a foreign object of the same name alone",
		func(ctx context.Context, theirs client.Object, condition string) {
			theirs.SetNamespace(namespace)
			Expect(k8s.Create(ctx, theirs)).To(Succeed())
			version := theirs.GetResourceVersion()
			app := create(ctx, "web")
			Eventually(conditionOf(app, condition)).WithContext(ctx).Should(Equal("False NameConflict"))
			Expect(conditionOf(app, "Stalled")(ctx)).To(Equal("True NameConflict"))
			Expect(messageOf(ctx, app, "Ready")).To(ContainSubstring(namespace + "/web"))
			Expect(kstatusOf(app)(ctx)).To(Equal(kstatus.Failed))
			Expect(fetch(ctx, theirs).GetResourceVersion()).To(Equal(version))

			Expect(k8s.Delete(ctx, theirs)).To(Succeed())
			Eventually(conditionOf(app, "Stalled")).WithContext(ctx).Should(BeEmpty())
			Eventually(service(app)).WithContext(ctx).ShouldNot(BeNil())
		},
		Entry("a Service", &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "web"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}, "PortAllocated"),
		Entry("a Deployment", &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "web"},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
				},
			},
		}, "Available"),
	)
})
