package e2e_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/test/judge"
)

var _ = Describe("Under externalTrafficPolicy Local the status is true while", Ordered, ContinueOnFailure, faults, func() {
	const nodePort = 30084
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "moves"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30084, service: {externalTrafficPolicy: Local}}`)
		web.waitReady(ctx)
	})

	// home returns the node that runs the pod.
	home := func(ctx SpecContext) (pod string, n node) {
		GinkgoHelper()
		pods, err := web.pods(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(pods).To(HaveLen(1))
		for name, on := range pods {
			for _, candidate := range nodes {
				if candidate.name == on {
					pod, n = name, candidate
				}
			}
		}
		return pod, n
	}

	// Whatever was found there, it does not count.
	without := words("(Unreachable NoLocalEndpoint)", "(Reachable NoLocalEndpoint)", "(Unknown NoLocalEndpoint)")
	livesOn := func(n node) map[string]judge.Words {
		rows := onAll(without)
		rows[n.name] = words(reachable)
		return rows
	}

	fault("the pod moves to another node", func(ctx SpecContext, _ int) {
		pod, from := home(ctx)
		to := nodes[len(nodes)-1]
		if to == from {
			to = nodes[len(nodes)-2]
		}
		Eventually(web.rows).WithContext(ctx).Should(HaveKeyWithValue(from.name, calmRow()))
		t := begin(ctx, "the only pod moves, under Local", web, livesOn(from), nodePort)
		t.dials.says(ctx, outside, from.name, "200")
		kubectl(ctx, "cordon", from.name)
		DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "uncordon", from.name) })
		t.phase(ctx, judge.Phase{
			Turn:    judge.Dialled,
			Right:   livesOn(to),
			Passing: words("Unknown Pending"),
		}, func() { web.kubectl(ctx, "delete", "pod", pod, "--wait=false") })
		t.end()
	})
})
