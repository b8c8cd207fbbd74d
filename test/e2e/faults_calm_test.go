package e2e_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What happens every day, and what no client notices, raises no alarm.
var _ = Describe("The status stays calm while", Ordered, ContinueOnFailure, faults, func() {
	const nodePort = 30081
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "calm"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30081, app: {replicas: 2}}`)
		web.waitReady(ctx)
	})

	calm := func(name string, act func(ctx SpecContext, round int), labels ...any) {
		fault(name, func(ctx SpecContext, round int) {
			t := try(ctx, name, web, nodePort)
			t.calm(ctx, func() { act(ctx, round) })
			t.end()
		}, labels...)
	}

	calm("the app is rolled out anew", func(ctx SpecContext, _ int) {
		web.kubectl(ctx, "rollout", "restart", "deployment/web")
		web.kubectl(ctx, "rollout", "status", "deployment/web", "--timeout", rollout.String())
	})

	calm("one of two pods is killed", func(ctx SpecContext, _ int) {
		pods, err := web.pods(ctx)
		Expect(err).NotTo(HaveOccurred())
		for pod := range pods {
			web.kubectl(ctx, "delete", "pod", pod, "--force", "--grace-period=0")
			break
		}
		web.waitReady(ctx)
	})

	calm("an image that does not exist is rolled out", func(ctx SpecContext, _ int) {
		DeferCleanup(func(ctx SpecContext) {
			web.patch(ctx, `{"app": {"image": null}}`)
			web.waitReady(ctx)
		})
		web.patch(ctx, `{"app": {"image": "example.invalid/nothing:1"}}`)
	})

	calm("an agent is killed", func(ctx SpecContext, round int) {
		kubectl(ctx, "delete", "pod", "--namespace", system, "--selector=app.kubernetes.io/component=agent",
			"--field-selector=spec.nodeName="+nodes[round%len(nodes)].name, "--force", "--grace-period=0")
		kubectl(ctx, "rollout", "status", "--namespace", system, "daemonset/exposedapp-agent", "--timeout", rollout.String())
	}, short)

	calm("another operator takes the lead", func(ctx SpecContext, _ int) {
		old, err := leader(ctx)
		Expect(err).NotTo(HaveOccurred())
		kubectl(ctx, "delete", "pod", "--namespace", system, old, "--wait=false")
		Eventually(leader).WithContext(ctx).ShouldNot(Equal(old))
	}, short)

	calm("kube-proxy starts anew on every node", func(ctx SpecContext, _ int) {
		kubectl(ctx, "delete", "pods", "--namespace=kube-system", "--selector=k8s-app=kube-proxy")
		kubectl(ctx, "rollout", "status", "--namespace=kube-system", "daemonset/kube-proxy", "--timeout", rollout.String())
	})
})
