package e2e_test

import (
	"context"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

var _ = Describe("externalTrafficPolicy Local", Ordered, proxied, func() {
	const nodePort = 30030
	var web app
	// host runs the pod, empty are the other nodes.
	var host node
	var empty []node

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "local"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec:
  nodePort: 30030
  service: {externalTrafficPolicy: Local}`)
		web.waitReady(ctx)
		pods, err := web.pods(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(pods).To(HaveLen(1))
		for _, n := range nodes {
			for _, name := range pods {
				if n.name == name {
					host, empty = n, others(n)
				}
			}
		}
		Expect(empty).To(HaveLen(2))
	})

	rows := func() map[string]string {
		rows := everyNode("(Unreachable " + v1alpha1.ReasonNoLocalEndpoint + ")")
		rows[host.name] = string(v1alpha1.NodeReachable)
		return rows
	}

	dials := func(ctx context.Context, from, to node) string {
		GinkgoHelper()
		word, err := from.dial(ctx, to, nodePort)
		Expect(err).NotTo(HaveOccurred())
		return word
	}

	It("expects an answer of the node with the pod alone", func(ctx SpecContext) {
		Eventually(web.rows).WithContext(ctx).Should(Equal(rows()))
		Expect(web.field(ctx, "exposedapp", "{.status.reachability.summary}")).To(Equal("1/1"))
	})

	It("is right, by the word of the other nodes", func(ctx SpecContext) {
		for _, from := range others(host) {
			Expect(dials(ctx, from, host)).To(Equal("200"), from.name)
		}
		for _, to := range empty {
			for _, from := range others(to) {
				Expect(dials(ctx, from, to)).To(Equal(timedOut), "%s → %s", from.name, to.name)
			}
		}
	})

	It("is not taken in by a node that answers itself alone", func(ctx SpecContext) {
		for _, n := range empty {
			Expect(dials(ctx, n, n)).To(Equal("200"), n.name)
		}
		Expect(web.rows(ctx)).To(Equal(rows()))
	})

	It("is Current to GitOps tools", func(ctx SpecContext) {
		Expect(web.kstatus(ctx)).To(Equal(status.CurrentStatus))
	})
})
