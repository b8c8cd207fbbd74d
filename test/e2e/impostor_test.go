package e2e_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// A pod with a hostPort gets what kube-proxy leaves of a node port: all of it
// where the Service has no endpoint, or none on the node under Local.
var _ = Describe("A node port that something else serves", func() {
	// told is how long it takes until every word is newer than the last change of
	// the endpoints.
	const told = 30 * time.Second

	DescribeTable("is told of on that node alone",
		func(ctx SpecContext, nodePort int, spec, there, elsewhere string) {
			web := app{newNamespace(ctx, "impostor"), "web"}
			// The app's own pod, if there is one, is on another node.
			home, taken := nodes[len(nodes)-2], nodes[len(nodes)-1]
			apply(ctx, web.namespace, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: `+spec, nodePort, home.name))
			Eventually(web.condition).WithContext(ctx).WithArguments(v1alpha1.ConditionPortAllocated).
				Should(Equal("True " + v1alpha1.ReasonAllocated))
			apply(ctx, web.namespace, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: impostor}
spec:
  nodeName: %s
  containers:
  - {name: podinfo, image: "ghcr.io/stefanprodan/podinfo:6.9.2", ports: [{containerPort: 9898, hostPort: %d}]}`,
				taken.name, nodePort))
			Eventually(others(taken)[0].dial).WithContext(ctx).WithArguments(taken, int32(nodePort)).Should(Equal("200"))

			Eventually(web.rows).WithContext(ctx).WithTimeout(told).Should(HaveKeyWithValue(taken.name, there))
			Expect(web.rows(ctx)).To(HaveKeyWithValue(nodes[0].name, elsewhere))
			Expect(others(taken)[0].dial(ctx, taken, int32(nodePort))).To(Equal("200"))
		},
		Entry("without a pod of the app", 30045,
			"{nodePort: %d, app: {replicas: 0, nodeSelector: {kubernetes.io/hostname: %s}}}",
			"Unreachable "+v1alpha1.ReasonNotServed, "Unreachable "+v1alpha1.ReasonNoReadyEndpoints),
		Entry("under Local, without one on the node", 30046,
			"{nodePort: %d, service: {externalTrafficPolicy: Local}, app: {nodeSelector: {kubernetes.io/hostname: %s}}}",
			"(Reachable "+v1alpha1.ReasonUnexpectedAnswer+")", "(Unreachable "+v1alpha1.ReasonNoLocalEndpoint+")"),
	)
})
