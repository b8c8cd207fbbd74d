package e2e_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"

	"github.com/exposedapp/exposedapp/test/judge"
)

var _ = Describe("The status is true while", Ordered, ContinueOnFailure, faults, func() {
	const nodePort = 30080
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "network"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30080, app: {replicas: 2}}`)
		web.waitReady(ctx)
	})

	// broken is another node in each round.
	broken := func(round int) node { return nodes[(len(nodes)-1+round)%len(nodes)] }

	// follows tries a fault of one node's packet filter, and takes it out again.
	follows := func(ctx SpecContext, name string, n node, chains string, during judge.Phase, deaf ...string) {
		GinkgoHelper()
		t := try(ctx, name, web, nodePort)
		t.Deaf = deaf
		var mend func(ctx SpecContext)
		t.phase(ctx, during, func() { mend = inject(ctx, n, chains) })
		after := judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right}
		t.phase(ctx, after, func() { mend(ctx) })
		t.end()
	}

	fault("a node is silent", func(ctx SpecContext, round int) {
		n := broken(round)
		follows(ctx, "a node is silent", n, silence(nodePort), judge.Phase{
			Turn:  judge.Dialled,
			Right: onlyOn(n, words("Unreachable Timeout")),
		})
	}, short)

	fault("a node refuses", func(ctx SpecContext, round int) {
		n := broken(round)
		follows(ctx, "a node refuses", n, refusal(nodePort), judge.Phase{
			Turn:  judge.Dialled,
			Right: onlyOn(n, words("Unreachable ConnectionRefused")),
		})
	}, short)

	fault("a node is silent to another one", func(ctx SpecContext, round int) {
		n := broken(round)
		excluded, served := others(n)[0], others(n)[1]
		follows(ctx, "a node is silent to another one", n, drop("ip saddr "+excluded.address, nodePort), judge.Phase{
			Turn:    judge.Dialled,
			Right:   onlyOn(n, telling("Unreachable PartiallyReachable", excluded.name, served.name)),
			Passing: telling("Unreachable Timeout", excluded.name),
		})
	}, short)

	// No node is silent then but to that one, which is no reason to accuse them.
	fault("a node reaches no other", func(ctx SpecContext, round int) {
		n := broken(round)
		right := onAll(telling("Reachable SuspectObserver", n.name))
		right[n.name] = words(reachable)
		if socketLB != "" {
			// Its dials leave for pods, and its raw probes do not leave: it says nothing.
			right = onAll(words(reachable))
		}
		follows(ctx, "a node reaches no other", n,
			"chain output { type filter hook output priority filter; tcp dport 30000-32767 drop; }",
			judge.Phase{Turn: judge.Announced, Right: right}, n.name)
	}, short)

	fault("a node loses packets", func(ctx SpecContext, round int) {
		n := broken(round)
		t := try(ctx, "a node loses packets", web, nodePort)
		t.calm(ctx, func() {
			// Every twentieth, so that no two in a row are one source's.
			inject(ctx, n, drop("tcp flags & (syn | ack) == syn numgen inc mod 20 == 0", nodePort))
		})
		t.end()
	}, short)

	fault("the app answers with an error", func(ctx SpecContext, _ int) {
		t := try(ctx, "the app answers with an error", web, nodePort)
		probe := func(ctx SpecContext, path string) {
			// The agents may be faster than who is told after them.
			t.dials.turnTo(path, nodePort)
			web.patch(ctx, fmt.Sprintf(`{"probe": {"path": %q}}`, path))
		}
		DeferCleanup(func(ctx SpecContext) { probe(ctx, "/") })
		t.phase(ctx, judge.Phase{
			Turn:    judge.Dialled,
			Right:   onAll(telling("Unreachable HTTPStatus", "500")),
			Passing: words("Unknown Pending"),
		}, func() { probe(ctx, "/status/500") })
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right}, func() { probe(ctx, "/") })
		t.end()
	}, short)
})
