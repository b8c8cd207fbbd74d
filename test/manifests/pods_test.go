package manifests

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("The pods", Ordered, func() {
	const restricted = "restricted"

	BeforeAll(func(ctx SpecContext) {
		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name:   restricted,
			Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}})).To(Succeed())
	})

	// admit asks whether a pod of the template may run in the restricted
	// namespace.
	admit := func(ctx SpecContext, template corev1.PodTemplateSpec) error {
		return admin.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: restricted, GenerateName: "pod-", Labels: template.Labels},
			Spec:       template.Spec,
		}, client.DryRunAll)
	}

	It("of the operator are restricted", func(ctx SpecContext) {
		var operator appsv1.Deployment
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: system, Name: "exposedapp-operator"}, &operator)).To(Succeed())
		Expect(admit(ctx, operator.Spec.Template)).To(Succeed())
	})

	It("of the agent are restricted but for the host network", func(ctx SpecContext) {
		var agent appsv1.DaemonSet
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: system, Name: "exposedapp-agent"}, &agent)).To(Succeed())
		Expect(agent.Spec.Template.Spec.HostNetwork).To(BeTrue())
		Expect(admit(ctx, agent.Spec.Template)).To(MatchError(
			HaveSuffix(`violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)`)))

		agent.Spec.Template.Spec.HostNetwork = false
		Expect(admit(ctx, agent.Spec.Template)).To(Succeed())
	})
})
