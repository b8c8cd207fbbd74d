package e2e_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// What people do every day, with kubectl, judged by curl from another node.
var _ = Describe("Everyday edits", func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx, "everyday")
	})

	expose := func(ctx SpecContext, name, spec string) app {
		GinkgoHelper()
		apply(ctx, namespace, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: %s}
spec: %s`, name, spec))
		return app{namespace, name}
	}
	answers := func(ctx SpecContext, nodePort int32) {
		GinkgoHelper()
		Eventually(nodes[0].dial).WithContext(ctx).WithArguments(nodes[1], nodePort).Should(Equal("200"))
	}

	DescribeTable("of the children leave the app Ready on its node port",
		func(ctx SpecContext, declared, changed string, edit ...string) {
			web := expose(ctx, "web", "{nodePort: 30190}")
			web.waitReady(ctx)
			web.kubectl(ctx, edit...)
			Eventually(web.field).WithContext(ctx).WithArguments(changed, declared).Should(BeElementOf("80", "9898", "spec.nodeName"))
			web.waitReady(ctx)
			Consistently(web.field).WithContext(ctx).WithTimeout(3*time.Second).
				WithArguments("exposedapp", "{.status.nodePort}").Should(Equal("30190"))
			Expect(web.condition(ctx, v1alpha1.ConditionReady)).To(Equal("True " + v1alpha1.ReasonReady))
			Expect(web.condition(ctx, v1alpha1.ConditionStalled)).To(BeEmpty())
			answers(ctx, 30190)
		},
		Entry("a port that comes before its own", `{.spec.ports[?(@.name=="http")].port}`, "service",
			"patch", "service", "web", `--patch={"spec":{"ports":[{"name":"metrics","port":9797,"targetPort":9797}]}}`),
		Entry("another number of its port", `{.spec.ports[?(@.name=="http")].port}`, "service",
			"patch", "service", "web", "--type=json", `--patch=[{"op":"replace","path":"/spec/ports/0/port","value":8080}]`),
		Entry("another number of the container's port", "{.spec.template.spec.containers[0].ports[*].containerPort}", "deployment",
			"patch", "deployment", "web", "--type=json",
			`--patch=[{"op":"replace","path":"/spec/template/spec/containers/0/ports/0/containerPort","value":8080}]`),
		Entry("a value in place of a source", "{.spec.template.spec.containers[0].env[0].valueFrom.fieldRef.fieldPath}", "deployment",
			"set", "env", "deployment/web", "PODINFO_UI_MESSAGE=hello"),
	)

	It("have two apps change their node ports with each other", func(ctx SpecContext) {
		blue, green := expose(ctx, "blue", "{nodePort: 30191}"), expose(ctx, "green", "{nodePort: 30192}")
		blue.waitReady(ctx)
		green.waitReady(ctx)
		expose(ctx, "blue", "{nodePort: 30192}")
		expose(ctx, "green", "{nodePort: 30191}")
		for nodePort, a := range map[string]app{"30192": blue, "30191": green} {
			Eventually(a.field).WithContext(ctx).WithArguments("exposedapp", "{.status.nodePort}").Should(Equal(nodePort))
			a.waitReady(ctx)
			Expect(a.condition(ctx, v1alpha1.ConditionStalled)).To(BeEmpty())
		}
		answers(ctx, 30191)
		answers(ctx, 30192)
	})

	It("have an app that is deleted and made again wait for its former children", func(ctx SpecContext) {
		web := expose(ctx, "web", "{nodePort: 30193}")
		web.waitReady(ctx)
		web.kubectl(ctx, "patch", "service", "web", "--type=merge", `--patch={"metadata":{"finalizers":["example.com/slow"]}}`)
		web.kubectl(ctx, "delete", "exposedapp", "web")
		expose(ctx, "web", "{nodePort: 30193}")
		Eventually(web.condition).WithContext(ctx).WithArguments(v1alpha1.ConditionReconciling).
			Should(Equal("True " + v1alpha1.ReasonPending))
		Expect(web.condition(ctx, v1alpha1.ConditionStalled)).To(BeEmpty())
		web.kubectl(ctx, "patch", "service", "web", "--type=merge", `--patch={"metadata":{"finalizers":null}}`)
		web.waitReady(ctx)
		answers(ctx, 30193)
	})
})
