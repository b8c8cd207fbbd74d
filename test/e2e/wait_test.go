package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

var _ = Describe("kubectl", Ordered, ContinueOnFailure, func() {
	const nodePort = 30075
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "wait"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30075, app: {replicas: 2}}`)
	})

	// wait waits for the app to be Ready, and returns kubectl's exit code and
	// what it complains of.
	wait := func(ctx context.Context, patience time.Duration) (int, string) {
		_, err := run(ctx, "kubectl", "--namespace", web.namespace, "wait", "--for=condition=Ready", "exposedapp/web",
			"--timeout", patience.String())
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exit.ExitCode(), err.Error()
		}
		return 0, ""
	}

	It("wait ends when an app is there and answers", func(ctx SpecContext) {
		web.waitReady(ctx)
		all := fmt.Sprintf("%d/%d", len(nodes), len(nodes))
		for _, expected := range []string{
			"jsonpath={.status.reachability.summary}=" + all,
			"jsonpath={.status.nodePort}=30075",
			`jsonpath={.status.conditions[?(@.type=="Reachable")].status}=True`,
			"condition=PortAllocated",
			"condition=Reachable=True",
		} {
			web.kubectl(ctx, "wait", "--for="+expected, "exposedapp/web", "--timeout=1s")
		}
		Expect(dialAll(ctx, nodePort)).To(HaveEach(HaveSuffix(": 200")))
	})

	It("rollout status agrees on the child", func(ctx SpecContext) {
		web.kubectl(ctx, "rollout", "status", "deployment/web", "--timeout=1s")
	})

	It("wait right after a change waits for what was changed", func(ctx SpecContext) {
		web.kubectl(ctx, "patch", "exposedapp", "web", "--type=merge",
			`--patch={"spec": {"app": {"env": [{"name": "PODINFO_UI_COLOR", "value": "#34577c"}]}}}`)
		web.waitReady(ctx)
		web.kubectl(ctx, "rollout", "status", "deployment/web", "--timeout=1s")
		Expect(web.field(ctx, "deployment", `{.spec.template.spec.containers[0].env[?(@.name=="PODINFO_UI_COLOR")].value} `+
			`{.status.updatedReplicas}/{.status.replicas}`)).To(Equal("#34577c 2/2"))
	})

	It("wait gives up on a node that does not answer, and ends as soon as it does", func(ctx SpecContext) {
		mend := inject(ctx, nodes[len(nodes)-1], silence(nodePort))
		web.kubectl(ctx, "wait", "--for=condition=Ready=False", "exposedapp/web", "--timeout", rollout.String())
		Expect(web.condition(ctx, v1alpha1.ConditionReady)).To(Equal("False " + v1alpha1.ReasonNodesUnreachable))
		code, complaint := wait(ctx, 5*time.Second)
		Expect(code).To(Equal(1))
		Expect(complaint).To(ContainSubstring("timed out waiting for the condition"))

		ended := make(chan int, 1)
		go func() {
			code, _ := wait(ctx, rollout)
			ended <- code
		}()
		Consistently(ended).WithContext(ctx).WithTimeout(2 * time.Second).ShouldNot(Receive())
		mend(ctx)
		mended := time.Now()
		Eventually(ended).WithContext(ctx).WithTimeout(noticed).Should(Receive(BeZero()))
		report("kubectl wait ends after the node is mended by", tenths(time.Since(mended)))
	})
})
