package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

var _ = Describe("Why an app is not Ready", func() {
	// looked is how long it may take until somebody has looked at the pods: 5 seconds
	// after they began to lack, or 10 later, where they had not failed yet.
	const looked = 30 * time.Second

	declare := func(ctx SpecContext, story, spec string, labels ...string) app {
		GinkgoHelper()
		web := app{newNamespace(ctx, "why-"+story), "web"}
		for _, label := range labels {
			kubectl(ctx, "label", "namespace", web.namespace, label)
		}
		apply(ctx, web.namespace, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: %s`, spec))
		return web
	}
	message := func(ctx context.Context, web app) (string, error) {
		return web.field(ctx, "exposedapp", `{.status.conditions[?(@.type=="Ready")].message}`)
	}

	It("is told of pods for which there is no room, and is not hidden by those that run", func(ctx SpecContext) {
		web := declare(ctx, "room", "{app: {replicas: 3, resources: {requests: {cpu: 600m}}}}")
		web.waitReady(ctx)
		const many = 12
		web.kubectl(ctx, "scale", "exposedapp", "web", fmt.Sprintf("--replicas=%d", many))
		Eventually(message).WithContext(ctx).WithTimeout(looked).WithArguments(web).
			Should(And(ContainSubstring("no node takes a pod"), ContainSubstring("Insufficient cpu")))
		Consistently(web.condition).WithContext(ctx).WithTimeout(5 * time.Second).WithArguments(v1alpha1.ConditionReady).
			Should(HavePrefix("False "))
		_, err := run(ctx, "kubectl", "--namespace", web.namespace, "rollout", "status", "deployment/web", "--timeout=1s")
		Expect(err).To(HaveOccurred(), "kubectl agrees")

		web.kubectl(ctx, "scale", "exposedapp", "web", "--replicas=1")
		web.waitReady(ctx)
		Expect(web.field(ctx, "deployment", "{.status.replicas}")).To(Equal("1"))
	})

	It("is told of an image that cannot be pulled, also to Flux and Helm, and is not told again", func(ctx SpecContext) {
		const image = "registry.invalid/shop/web:1"
		web := declare(ctx, "image", "{app: {image: "+image+"}}")
		Eventually(message).WithContext(ctx).WithTimeout(looked).WithArguments(web).
			Should(ContainSubstring(`image %q cannot be pulled: ErrImagePull: `, image))
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("ExposedApp"))
		Expect(cluster.Get(ctx, web.key(), object)).To(Succeed())
		result, err := status.Compute(object)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.Message).To(ContainSubstring(image))
		report("what Helm shows of an image that cannot be pulled", result.Message)

		settled := object.GetResourceVersion()
		Consistently(web.field).WithContext(ctx).WithTimeout(time.Minute).WithPolling(2*time.Second).
			WithArguments("exposedapp", "{.metadata.resourceVersion}").Should(Equal(settled))
	})

	It("is told of a namespace that lets no pod in, with the fields that let it in", func(ctx SpecContext) {
		web := declare(ctx, "restricted", "{}", "pod-security.kubernetes.io/enforce=restricted")
		Eventually(message).WithContext(ctx).WithTimeout(looked).WithArguments(web).Should(And(
			ContainSubstring(`violates PodSecurity "restricted`),
			ContainSubstring("set spec.app.securityContext.runAsNonRoot: true, and runAsUser")))

		patch := func(context string) {
			GinkgoHelper()
			web.kubectl(ctx, "patch", "exposedapp", "web", "--type=merge",
				`--patch={"spec": {"app": {"securityContext": `+context+`}}}`)
		}
		patch(`{"runAsNonRoot": true}`)
		// Whether the image names its user by name is the image's affair.
		Eventually(func(ctx context.Context) string {
			told, err := message(ctx, web)
			Expect(err).NotTo(HaveOccurred())
			return told
		}).WithContext(ctx).WithTimeout(looked).ShouldNot(ContainSubstring("violates PodSecurity"))
		patch(`{"runAsNonRoot": true, "runAsUser": 1000}`)
		web.waitReady(ctx)
		Expect(web.field(ctx, "deployment", "{.spec.template.spec.containers[0].securityContext.capabilities.drop[0]}")).
			To(Equal("ALL"))
	})

	DescribeTable("is told of",
		func(ctx SpecContext, story, spec string, words ...string) {
			web := declare(ctx, story, spec)
			for _, word := range words {
				Eventually(message).WithContext(ctx).WithTimeout(looked).WithArguments(web).Should(ContainSubstring(word))
			}
		},
		Entry("a program that ends", "crash", `{app: {args: ["./podinfo", "--no-such-flag"]}}`, "ends with exit code"),
		Entry("a Secret that is missing", "secret",
			`{app: {env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: nope, key: token}}}]}}`,
			"CreateContainerConfigError", `secret "nope" not found`),
		Entry("a readiness probe that fails", "probe", "{app: {readinessPath: /status/500}}",
			"does not pass its readiness probe (GET /status/500 on port 9898)"),
		Entry("a port that nobody listens on", "port", `{app: {containerPort: 9999, livenessPath: ""}}`,
			"does not pass its readiness probe (GET /readyz on port 9999)"),
	)

	It("is told of a quota, and the app is Ready soon after it is raised", func(ctx SpecContext) {
		web := app{newNamespace(ctx, "why-quota"), "web"}
		web.kubectl(ctx, "create", "quota", "small", "--hard=pods=1")
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {app: {replicas: 2}}`)
		Eventually(message).WithContext(ctx).WithTimeout(looked).WithArguments(web).
			Should(ContainSubstring("exceeded quota: small"))
		web.kubectl(ctx, "delete", "quota", "small")
		web.waitReady(ctx)
	})

	It("is told of a rollout that somebody paused", func(ctx SpecContext) {
		web := declare(ctx, "paused", "{}")
		web.waitReady(ctx)
		web.kubectl(ctx, "rollout", "pause", "deployment/web")
		web.kubectl(ctx, "patch", "exposedapp", "web", "--type=merge",
			`--patch={"spec": {"app": {"env": [{"name": "PODINFO_UI_COLOR", "value": "#34577c"}]}}}`)
		Eventually(web.condition).WithContext(ctx).WithTimeout(looked).WithArguments(v1alpha1.ConditionReady).
			Should(Equal("False RolloutPaused"))
		told, err := message(ctx, web)
		Expect(err).NotTo(HaveOccurred())
		_, command, found := strings.Cut(told, "kubectl ")
		Expect(found).To(BeTrue(), told)
		web.kubectl(ctx, strings.Fields(command)...)
		web.waitReady(ctx)
	})

	It("is told of somebody else who scales the Deployment", func(ctx SpecContext) {
		web := declare(ctx, "rival", "{}")
		web.waitReady(ctx)
		for range 3 {
			web.kubectl(ctx, "scale", "deployment", "web", "--replicas=2")
			Eventually(web.field).WithContext(ctx).WithTimeout(5*time.Second).WithArguments("deployment", "{.spec.replicas}").
				Should(Equal("1"))
		}
		Eventually(message).WithContext(ctx).WithTimeout(looked).WithArguments(web).
			Should(ContainSubstring(`"kubectl" sets the Deployment's replicas again and again`))
		web.waitReady(ctx)
	})
})
