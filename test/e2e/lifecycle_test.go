package e2e_test

import (
	"fmt"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The life of an app", Ordered, ContinueOnFailure, func() {
	const nodePort = 30010
	// repaired is how long what somebody else changed may stay so.
	const repaired = 5 * time.Second
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "lifecycle"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30010}`)
		web.waitReady(ctx)
	})

	readyEndpoints := func(ctx SpecContext) (string, error) {
		return run(ctx, "kubectl", "--namespace", web.namespace, "get", "endpointslices", "--selector=app=web",
			"--output=jsonpath={.items[*].endpoints[*].conditions.ready}")
	}

	answers := func(ctx SpecContext) {
		GinkgoHelper()
		Eventually(dialAll).WithContext(ctx).WithArguments(int32(nodePort)).Should(HaveEach(HaveSuffix(": 200")))
	}

	DescribeTable("scales by kubectl scale",
		func(ctx SpecContext, replicas int, endpoints string) {
			web.kubectl(ctx, "scale", "exposedapp", "web", fmt.Sprintf("--replicas=%d", replicas))
			Eventually(web.field).WithContext(ctx).WithArguments("exposedapp", "{.status.replicasSummary}").
				Should(Equal(fmt.Sprintf("%d/%[1]d", replicas)))
			Eventually(readyEndpoints).WithContext(ctx).Should(Equal(endpoints))
			Expect(web.pods(ctx)).To(HaveLen(replicas))
			web.waitReady(ctx)
			answers(ctx)
		},
		Entry("up", 3, "true true true"),
		Entry("down", 1, "true"),
	)

	DescribeTable("repairs a child that is deleted",
		func(ctx SpecContext, kind, path string) {
			before, err := web.field(ctx, kind, "{.metadata.uid}")
			Expect(err).NotTo(HaveOccurred())
			want, err := web.field(ctx, kind, path)
			Expect(err).NotTo(HaveOccurred())
			web.kubectl(ctx, "delete", kind, "web")
			Eventually(web.field).WithContext(ctx).WithTimeout(repaired).WithArguments(kind, "{.metadata.uid}").
				ShouldNot(Equal(before))
			Expect(web.field(ctx, kind, path)).To(Equal(want))
			web.waitReady(ctx)
			answers(ctx)
		},
		Entry("the Service, with its node port", "service", "{.spec.ports[0].nodePort}"),
		Entry("the Deployment", "deployment", "{.spec.replicas}"),
	)

	DescribeTable("repairs a child that somebody edits",
		func(ctx SpecContext, kind, path, patch string) {
			want, err := web.field(ctx, kind, path)
			Expect(err).NotTo(HaveOccurred())
			web.kubectl(ctx, "patch", kind, "web", "--type=strategic", "--patch", patch)
			Eventually(web.field).WithContext(ctx).WithTimeout(repaired).WithArguments(kind, path).Should(Equal(want))
			web.waitReady(ctx)
			answers(ctx)
		},
		Entry("the Service's selector", "service", "{.spec.selector}",
			`{"spec": {"selector": {"exposedapp.dev/name": "other"}}}`),
		Entry("the Service's node port", "service", "{.spec.ports[0].nodePort}",
			`{"spec": {"ports": [{"port": 80, "nodePort": 30011}]}}`),
		Entry("the Service's type", "service", "{.spec['type','externalTrafficPolicy']} {.spec.ports[0].nodePort}",
			`{"spec": {"type": "ClusterIP"}}`),
		Entry("the Service's policy", "service", "{.spec.externalTrafficPolicy}",
			`{"spec": {"externalTrafficPolicy": "Local"}}`),
		Entry("the Deployment's replicas", "deployment", "{.spec.replicas}",
			`{"spec": {"replicas": 2}}`),
		Entry("the Deployment's image", "deployment", "{.spec.template.spec.containers[0].image}",
			`{"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "example.invalid/other"}]}}}}`),
	)

	It("is Current to GitOps tools after all that", func(ctx SpecContext) {
		Expect(web.kstatus(ctx)).To(Equal(status.CurrentStatus))
	})

	It("leaves nothing behind", func(ctx SpecContext) {
		web.kubectl(ctx, "delete", "exposedapp", "web")
		Eventually(func() (string, error) {
			return run(ctx, "kubectl", "--namespace", web.namespace, "get",
				"exposedapps,services,deployments,replicasets,pods,endpointslices", "--output=name")
		}).WithContext(ctx).Should(BeEmpty())
		Eventually(dialAll).WithContext(ctx).WithArguments(int32(nodePort)).
			Should(HaveEach(HaveSuffix(": " + refused)))
	})
})
