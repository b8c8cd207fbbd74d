package e2e_test

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

var _ = Describe("Ports", proxied, func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx, "ports")
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

	// stalls expects that a human is asked for, and how.
	stalls := func(ctx SpecContext, a app, reason string, words ...string) {
		GinkgoHelper()
		Eventually(a.condition).WithContext(ctx).WithArguments(v1alpha1.ConditionPortAllocated).
			Should(Equal("False " + reason))
		for _, word := range words {
			Expect(a.message(ctx, v1alpha1.ConditionPortAllocated)).To(ContainSubstring(word))
		}
		Eventually(a.condition).WithContext(ctx).WithArguments(v1alpha1.ConditionStalled).Should(Equal("True " + reason))
		Expect(a.condition(ctx, v1alpha1.ConditionReady)).To(Equal("False " + reason))
		Expect(a.kstatus(ctx)).To(Equal(status.FailedStatus))
	}

	becomesReady := func(ctx SpecContext, a app) {
		GinkgoHelper()
		a.waitReady(ctx)
		Expect(a.kstatus(ctx)).To(Equal(status.CurrentStatus))
	}

	// answers returns the word of curl on one node about another.
	answers := func(ctx context.Context, nodePort int32) (string, error) {
		return nodes[0].dial(ctx, nodes[1], nodePort)
	}

	It("waits for one that a foreign Service holds, and takes it when that goes", func(ctx SpecContext) {
		kubectl(ctx, "--namespace", namespace, "create", "service", "nodeport", "foreign", "--tcp=80", "--node-port=30020")
		web := expose(ctx, "web", "{nodePort: 30020}")
		stalls(ctx, web, v1alpha1.ReasonPortConflict, "30020 is held by Service "+namespace+"/foreign")

		kubectl(ctx, "--namespace", namespace, "delete", "service", "foreign")
		freed := time.Now()
		Eventually(web.condition).WithContext(ctx).WithTimeout(2 * time.Second).WithPolling(20 * time.Millisecond).
			WithArguments(v1alpha1.ConditionPortAllocated).Should(Equal("True " + v1alpha1.ReasonAllocated))
		report("a freed port is the waiting app's after", time.Since(freed).Round(time.Millisecond))
		becomesReady(ctx, web)
		Expect(answers(ctx, 30020)).To(Equal("200"))
	})

	It("keeps one that Kubernetes picked, also when the Service is deleted", func(ctx SpecContext) {
		web := expose(ctx, "web", "{}")
		becomesReady(ctx, web)
		object, err := web.get(ctx)
		Expect(err).NotTo(HaveOccurred())
		picked := object.Status.NodePort
		Expect(picked).To(And(BeNumerically(">=", 30000), BeNumerically("<=", 32767)))
		Expect(web.field(ctx, "service", "{.spec.ports[0].nodePort}")).To(Equal(strconv.Itoa(int(picked))))

		before, err := web.field(ctx, "service", "{.metadata.uid}")
		Expect(err).NotTo(HaveOccurred())
		web.kubectl(ctx, "delete", "service", "web")
		Eventually(web.field).WithContext(ctx).WithArguments("service", "{.metadata.uid}").ShouldNot(Equal(before))
		Expect(web.field(ctx, "service", "{.spec.ports[0].nodePort}")).To(Equal(strconv.Itoa(int(picked))))
		becomesReady(ctx, web)
		Eventually(answers).WithContext(ctx).WithArguments(picked).Should(Equal("200"))
	})

	It("changes it in place", func(ctx SpecContext) {
		web := expose(ctx, "web", "{nodePort: 30021}")
		becomesReady(ctx, web)
		before, err := web.field(ctx, "service", "{.metadata.uid}")
		Expect(err).NotTo(HaveOccurred())

		web.kubectl(ctx, "patch", "exposedapp", "web", "--type=merge", `--patch={"spec": {"nodePort": 30022}}`)
		Eventually(web.field).WithContext(ctx).WithArguments("exposedapp", "{.status.nodePort}").Should(Equal("30022"))
		becomesReady(ctx, web)
		Expect(web.field(ctx, "service", "{.metadata.uid} {.spec.ports[*].nodePort}")).To(Equal(before + " 30022"))
		Eventually(answers).WithContext(ctx).WithArguments(int32(30022)).Should(Equal("200"))
		Eventually(answers).WithContext(ctx).WithArguments(int32(30021)).Should(Equal(refused))

		By("leaving it out of the spec, which keeps it")
		web.kubectl(ctx, "patch", "exposedapp", "web", "--type=merge", `--patch={"spec": {"nodePort": null}}`)
		Eventually(web.field).WithContext(ctx).
			WithArguments("exposedapp", "{.metadata.generation} {.status.observedGeneration} {.status.nodePort}").
			Should(Equal("3 3 30022"))
		Expect(web.field(ctx, "service", "{.metadata.uid} {.spec.ports[*].nodePort}")).To(Equal(before + " 30022"))
	})

	It("tells the range to one that is outside of it", func(ctx SpecContext) {
		web := expose(ctx, "web", "{nodePort: 40000}")
		stalls(ctx, web, v1alpha1.ReasonPortOutOfRange, "40000", "30000-32767")
		expose(ctx, "web", "{nodePort: 30023}")
		becomesReady(ctx, web)
	})

	It("leaves it to the older of two, until that goes", func(ctx SpecContext) {
		first := expose(ctx, "first", "{nodePort: 30024}")
		becomesReady(ctx, first)
		second := expose(ctx, "second", "{nodePort: 30024}")
		stalls(ctx, second, v1alpha1.ReasonPortConflict, namespace+"/first")
		Expect(first.condition(ctx, v1alpha1.ConditionReady)).To(Equal("True " + v1alpha1.ReasonReady))

		first.kubectl(ctx, "delete", "exposedapp", "first")
		becomesReady(ctx, second)
		Expect(second.field(ctx, "service", "{.spec.ports[0].nodePort}")).To(Equal("30024"))
	})
})
