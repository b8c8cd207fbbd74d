package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/test/judge"
)

// What breaks here is a node port, and with it those who tell of it.
var _ = Describe("The truth is told in spite of", Ordered, ContinueOnFailure, faults, func() {
	const nodePort = 30080
	const movedPort = 30085
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "control"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30080, app: {replicas: 2}}`)
		web.waitReady(ctx)
	})

	// follows tries a silent node, with something in the way as it falls silent
	// and as it answers again.
	follows := func(ctx SpecContext, name string, inTheWay func(ctx SpecContext)) {
		GinkgoHelper()
		n := nodes[len(nodes)-1]
		t := try(ctx, name, web, nodePort)
		var mend func(ctx SpecContext)
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: onlyOn(n, words("Unreachable Timeout"))}, func() {
			inTheWay(ctx)
			mend = inject(ctx, n, silence(nodePort))
		})
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right}, func() {
			inTheWay(ctx)
			mend(ctx)
		})
		t.end()
	}

	fault("the operators being killed", func(ctx SpecContext, _ int) {
		follows(ctx, "operators are killed in mid-work", func(ctx SpecContext) {
			kubectl(ctx, "delete", "pods", "--namespace", system, "--selector=app.kubernetes.io/component=operator",
				"--force", "--grace-period=0")
		})
	}, slow)

	// With another manifest the kubelet starts it anew at once, rather than after
	// a pause that grows with each time.
	const restart = `f=/etc/kubernetes/manifests/kube-apiserver.yaml
sed "/exposedapp.dev.restarted/d; s|^  annotations:|&\n    exposedapp.dev/restarted: \"$(date +%s)\"|" $f >/tmp/kube-apiserver.yaml
cp /tmp/kube-apiserver.yaml $f
pkill --signal=KILL --exact kube-apiserver`

	fault("the API server being killed", func(ctx SpecContext, _ int) {
		before, err := operatorLives(ctx)
		Expect(err).NotTo(HaveOccurred())
		follows(ctx, "the API server is killed", func(ctx SpecContext) {
			_, err := nodes[0].run(ctx, "sh", "-c", restart)
			Expect(err).NotTo(HaveOccurred())
		})
		Eventually(operatorLives).WithContext(ctx).Should(Equal(before), "an outage is no reason to end")
	}, slow)

	// For as long as a liveness probe lets it, and longer than a report counts.
	const standstill = 40 * time.Second

	fault("the API server standing still", func(ctx SpecContext, _ int) {
		t := try(ctx, "the API server stands still", web, nodePort)
		t.calm(ctx, func() {
			signal(ctx, nodes[0], "STOP", "kube-apiserver")
			t.pass(ctx, standstill)
			signal(ctx, nodes[0], "CONT", "kube-apiserver")
		})
		t.end()
	}, slow)

	// A leader that was frozen has the world as it was, and says nothing of it.
	fault("the leader being frozen", func(ctx SpecContext, _ int) {
		frozen, err := leader(ctx)
		Expect(err).NotTo(HaveOccurred())
		host := kubectl(ctx, "get", "pod", "--namespace", system, frozen, "--output=jsonpath={.spec.nodeName}")
		on := nodes[slices.IndexFunc(nodes, func(n node) bool { return n.name == host })]
		n := nodes[len(nodes)-1]
		t := try(ctx, "the leader is frozen", web, nodePort)
		silent := judge.Phase{Turn: judge.Dialled, Right: onlyOn(n, words("Unreachable Timeout"))}
		var mend func(ctx SpecContext)
		t.phase(ctx, silent, func() {
			signal(ctx, on, "STOP", "/operator")
			mend = inject(ctx, n, silence(nodePort))
		})
		t.steady(silent.Right)
		signal(ctx, on, "CONT", "/operator")
		t.pass(ctx, uneventful)
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right}, func() { mend(ctx) })
		t.end()
	}, slow)

	fault("operator and agents being rolled out while a node is silent", func(ctx SpecContext, round int) {
		n := nodes[(len(nodes)-1+round)%len(nodes)]
		t := try(ctx, "all is rolled out while a node is silent", web, nodePort)
		silent := judge.Phase{Turn: judge.Dialled, Right: onlyOn(n, words("Unreachable Timeout"))}
		var mend func(ctx SpecContext)
		t.phase(ctx, silent, func() { mend = inject(ctx, n, silence(nodePort)) })
		t.steady(silent.Right)
		rollOutAnew(ctx)
		t.pass(ctx, uneventful)
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right}, func() { mend(ctx) })
		t.end()
	}, short, slow)

	// kube-proxy leaves its rules behind: nothing breaks until one changes.
	fault("kube-proxy being away from a node", func(ctx SpecContext, round int) {
		n := nodes[(len(nodes)-1+round)%len(nodes)]
		// After an outage of the API server, kube-proxy follows no change for up to
		// a minute.
		for _, port := range []int32{movedPort, nodePort} {
			web.patch(ctx, fmt.Sprintf(`{"nodePort": %d}`, port))
			Eventually(dialAll).WithContext(ctx).WithArguments(port).Should(HaveEach(HaveSuffix(": 200")))
		}
		Eventually(web.rows).WithContext(ctx).Should(Equal(everyNode(calmRow())))
		t := try(ctx, "kube-proxy is away from a node", web, nodePort)
		var bringBack func(ctx SpecContext)
		t.calm(ctx, func() { bringBack = banish(ctx, n) })
		DeferCleanup(func(ctx SpecContext) { web.patch(ctx, fmt.Sprintf(`{"nodePort": %d}`, nodePort)) })
		t.phase(ctx, judge.Phase{
			Turn: judge.Dialled, Port: movedPort, Anew: true,
			Right:   onlyOn(n, telling("Unreachable ConnectionRefused", "kube-proxy")),
			Passing: words("Unknown Pending"),
		}, func() {
			web.patch(ctx, fmt.Sprintf(`{"nodePort": %d}`, movedPort))
			t.dials.turnTo("/", movedPort)
		})
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Port: movedPort, Right: t.Phases[0].Right}, func() { bringBack(ctx) })
		t.end()
	}, slow)
})

// signal stops the processes of a program on a node, or has them go on; they do so in any
// case when the spec ends, if they are still there.
func signal(ctx SpecContext, n node, name, program string) {
	GinkgoHelper()
	send := func(ctx SpecContext, name string) (string, error) {
		return n.run(ctx, "pkill", "--signal="+name, "--full", "^"+program+"( |$)")
	}
	if name == "STOP" {
		DeferCleanup(func(ctx SpecContext) { _, _ = send(ctx, "CONT") })
	}
	_, err := send(ctx, name)
	Expect(err).NotTo(HaveOccurred())
}

// operatorLives returns how often each of the operator's containers was started anew.
func operatorLives(ctx context.Context) (string, error) {
	return run(ctx, "kubectl", "get", "pods", "--namespace", system, "--selector=app.kubernetes.io/component=operator",
		`--output=jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{"\n"}{end}`)
}

// banish takes kube-proxy away from a node, and from no other, and returns how
// to bring it back.
func banish(ctx SpecContext, n node) (bringBack func(ctx SpecContext)) {
	GinkgoHelper()
	const label = "exposedapp.dev/e2e-no-kube-proxy"
	patch := func(ctx SpecContext, patch string) {
		GinkgoHelper()
		kubectl(ctx, "patch", "daemonset", "--namespace=kube-system", "kube-proxy", "--type=merge", "--patch="+patch)
	}
	bringBack = func(ctx SpecContext) {
		GinkgoHelper()
		// First as it was, so that the pods that stayed are not replaced.
		patch(ctx, `{"spec": {"template": {"spec": {"affinity": null}}}}`)
		patch(ctx, `{"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}}`)
		kubectl(ctx, "label", "node", n.name, label+"-")
		kubectl(ctx, "rollout", "status", "--namespace=kube-system", "daemonset/kube-proxy", "--timeout", rollout.String())
	}
	DeferCleanup(bringBack)
	kubectl(ctx, "label", "node", n.name, label+"=")
	patch(ctx, `{"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}}`)
	patch(ctx, `{"spec": {"template": {"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
		{"nodeSelectorTerms": [{"matchExpressions": [{"key": "`+label+`", "operator": "DoesNotExist"}]}]}}}}}}}`)
	Eventually(func() (string, error) {
		return run(ctx, "kubectl", "get", "pods", "--namespace=kube-system", "--selector=k8s-app=kube-proxy",
			"--field-selector=spec.nodeName="+n.name, "--output=name")
	}).WithContext(ctx).Should(BeEmpty())
	return bringBack
}
