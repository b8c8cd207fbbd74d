package e2e_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"

	"github.com/exposedapp/exposedapp/test/judge"
)

// A node port that changes hands answers all the time, and for another one.
var _ = Describe("The status is true of a port that", Ordered, ContinueOnFailure, faults, func() {
	const nodePort = 30082
	const otherPort = 30083
	var web app

	manifest := func(name, spec string) string {
		return fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: %s}
spec: %s`, name, spec)
	}

	BeforeEach(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "hands"), "web"}
		apply(ctx, web.namespace, manifest("web", fmt.Sprintf("{nodePort: %d}", nodePort)))
		web.waitReady(ctx)
	})

	// What is left behind would hold the port still in the next round.
	AfterEach(func(ctx SpecContext) {
		web.kubectl(ctx, "delete", "exposedapps,services", "--all")
	})

	// A row of the waiting app would be about a port that is not its own.
	fault("a foreign Service holds, and lets go", func(ctx SpecContext, _ int) {
		late := app{web.namespace, "late"}
		apply(ctx, web.namespace, fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: foreign}
spec:
  type: NodePort
  selector: {exposedapp.dev/name: web}
  ports: [{port: 80, targetPort: 9898, nodePort: %d}]`, otherPort))
		t := begin(ctx, "a foreign Service lets a port go", late, onAll(words(judge.Gone)), otherPort)
		t.calm(ctx, func() { apply(ctx, web.namespace, manifest("late", fmt.Sprintf("{nodePort: %d}", otherPort))) })
		t.phase(ctx, judge.Phase{
			Turn:    judge.Dialled,
			Right:   onAll(words(reachable)),
			Passing: words("Unknown Pending", "Unknown NoReadyEndpoints", "Unreachable NoReadyEndpoints"),
		}, func() { web.kubectl(ctx, "delete", "service", "foreign") })
		t.end()
	})

	// The new app has a pod that is not ready until it is told to be.
	fault("another app takes over at once", func(ctx SpecContext, _ int) {
		next := app{web.namespace, "next"}
		t := begin(ctx, "another app takes over a port", next, onAll(words(judge.Gone)), nodePort)
		t.phase(ctx, judge.Phase{
			Turn:    judge.Dialled,
			Right:   onAll(words("Unreachable NoReadyEndpoints")),
			Passing: undecided,
		}, func() {
			web.kubectl(ctx, "delete", "exposedapp", "web", "--wait=false")
			apply(ctx, web.namespace, manifest("next",
				fmt.Sprintf("{nodePort: %d, app: {args: [./podinfo, --unready]}}", nodePort)))
		})
		t.phase(ctx, judge.Phase{
			Turn:    judge.Dialled,
			Right:   onAll(words(reachable)),
			Passing: undecided,
		}, func() { next.ask(ctx, "POST", "/readyz/enable") })
		t.end()
	})

	fault("is changed to and fro", func(ctx SpecContext, _ int) {
		t := try(ctx, "a port is changed to and fro", web, nodePort)
		t.phase(ctx, judge.Phase{
			Turn: judge.Dialled, Port: otherPort, Anew: true,
			Right:   onAll(words(reachable)),
			Passing: words("Unknown Pending"),
		}, func() {
			for _, port := range []int32{otherPort, nodePort, otherPort, nodePort, otherPort} {
				web.patch(ctx, fmt.Sprintf(`{"nodePort": %d}`, port))
			}
			t.dials.turnTo("/", otherPort)
		})
		t.end()
	})
})
