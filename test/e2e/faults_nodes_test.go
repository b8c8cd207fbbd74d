package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/test/judge"
)

var _ = Describe("The status is true of a node that", Ordered, ContinueOnFailure, faults, func() {
	ports := map[string]int32{"web": 30084, "inner": 30085}
	// web has its pod on home, where the operator leads, and inner on the node
	// that breaks.
	var web, inner app
	var broken, home node

	BeforeAll(func(ctx SpecContext) {
		home, broken = nodes[len(nodes)-2], nodes[len(nodes)-1]
		namespace := newNamespace(ctx, "nodes")
		web, inner = app{namespace, "web"}, app{namespace, "inner"}
		for a, on := range map[app]node{web: home, inner: broken} {
			apply(ctx, namespace, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: %s}
spec: {nodePort: %d, app: {nodeSelector: {kubernetes.io/hostname: %s}}}`, a.name, ports[a.name], on.name))
		}
		web.waitReady(ctx)
		inner.waitReady(ctx)
	})

	// A node that is gone is not Ready after a while, and not expected any more.
	gone := words("Unreachable Timeout", "Unreachable NoRoute", "(Unreachable NodeNotReady)", "(Unknown NodeNotReady)")
	// Nor is one that comes back, for a while. It refuses until kube-proxy is there.
	coming := words("Unknown Pending", "Unreachable ConnectionRefused", "(Unreachable NodeNotReady)", "(Unknown NodeNotReady)", "(Reachable NodeNotReady)")

	// Frozen processes answer nobody, while the kernel takes their connections.
	fault("is frozen, with the only pod", func(ctx SpecContext, _ int) {
		leadElsewhere(ctx, broken)
		t := try(ctx, "the only pod's node is frozen", inner, ports["inner"])
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: onAll(words("Unreachable Timeout"))}, func() {
			DeferCleanup(func(ctx SpecContext) { _, _ = run(ctx, "docker", "unpause", broken.name) })
			docker(ctx, "pause", broken.name)
		})
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right}, func() { docker(ctx, "unpause", broken.name) })
		t.end()
	})

	// The kernel of a frozen node forwards to a pod that is elsewhere.
	fault("is frozen for a minute, with no pod", func(ctx SpecContext, _ int) {
		leadElsewhere(ctx, broken)
		t := try(ctx, "a node is frozen for a minute", web, ports["web"])
		still := words(reachable, "(Reachable NodeNotReady)")
		t.steady(onlyOn(broken, still))
		DeferCleanup(func(ctx SpecContext) { _, _ = run(ctx, "docker", "unpause", broken.name) })
		docker(ctx, "pause", broken.name)
		t.pass(ctx, 70*time.Second)
		t.returns(ctx, broken, still, coming, func() { docker(ctx, "unpause", broken.name) })
		t.end()
	}, slow)

	stops := func(ctx SpecContext, name string) {
		GinkgoHelper()
		t := try(ctx, name, web, ports["web"])
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: onlyOn(broken, gone)}, func() {
			DeferCleanup(func(ctx SpecContext) { docker(ctx, "start", broken.name) })
			docker(ctx, "kill", broken.name)
		})
		t.returns(ctx, broken, gone, coming, func() { docker(ctx, "start", broken.name) })
		if socketLB == unproven {
			// Its agent starts before the stand-in does, and until then its dials are direct.
			for _, phase := range t.Phases[2:] {
				for _, right := range phase.Right {
					right[reachable] = nil
				}
			}
		}
		t.end()
	}

	fault("stops and starts", func(ctx SpecContext, _ int) {
		leadElsewhere(ctx, broken)
		stops(ctx, "a node stops and starts")
	}, slow)

	fault("stops, with the leader on it, and starts", func(ctx SpecContext, _ int) {
		leadElsewhere(ctx, others(broken)...)
		stops(ctx, "a node stops with the leader on it")
	}, slow)

	fault("leaves the cluster and joins again", func(ctx SpecContext, _ int) {
		leadElsewhere(ctx, broken)
		t := try(ctx, "a node leaves and joins again", web, ports["web"])
		t.phase(ctx, judge.Phase{Turn: judge.Announced, Right: onlyOn(broken, words(judge.Gone)), Passing: words("(Reachable NodeDeleting)")}, func() {
			DeferCleanup(func(ctx SpecContext) { systemctl(ctx, broken, "start") })
			systemctl(ctx, broken, "stop")
			kubectl(ctx, "delete", "node", broken.name)
		})
		t.returns(ctx, broken, words(judge.Gone), coming, func() { systemctl(ctx, broken, "start") })
		t.end()
	}, slow)
})

// returns begins the phases in which a node comes back: until it is Ready and
// answers it may be told to be gone still, from then on it is Reachable.
func (t *trial) returns(ctx SpecContext, n node, gone, coming judge.Words, act func()) {
	GinkgoHelper()
	either := words(reachable)
	maps.Copy(either, gone)
	maps.Copy(either, coming)
	started := time.Now()
	t.steady(onlyOn(n, either))
	act()
	Eventually(ready).WithContext(ctx).WithTimeout(3*rollout).WithArguments(n, started).Should(BeTrue())
	Eventually(t.answered).WithContext(ctx).WithTimeout(rollout).Should(BeTrue())
	t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right}, func() {})
}

// ready tells whether a kubelet said since a moment that its node is Ready.
func ready(ctx context.Context, n node, since time.Time) (bool, error) {
	object := &corev1.Node{}
	if err := cluster.Get(ctx, client.ObjectKey{Name: n.name}, object); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	for _, condition := range object.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue && condition.LastHeartbeatTime.After(since), nil
		}
	}
	return false, nil
}

// leadElsewhere sees to it that no operator on these nodes leads.
func leadElsewhere(ctx SpecContext, from ...node) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		pod, err := leader(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		where, err := run(ctx, "kubectl", "get", "pod", "--namespace", system, pod, "--output=jsonpath={.spec.nodeName}")
		g.Expect(err).NotTo(HaveOccurred())
		leads := slices.ContainsFunc(from, func(n node) bool { return n.name == where })
		if leads {
			_, err := run(ctx, "kubectl", "delete", "pod", "--namespace", system, pod)
			g.Expect(err).NotTo(HaveOccurred())
		}
		g.Expect(leads).To(BeFalse())
	}).WithContext(ctx).WithPolling(2 * time.Second).Should(Succeed())
}

func docker(ctx context.Context, args ...string) {
	GinkgoHelper()
	_, err := run(ctx, "docker", args...)
	Expect(err).NotTo(HaveOccurred())
}

func systemctl(ctx context.Context, n node, verb string) {
	GinkgoHelper()
	_, err := n.run(ctx, "systemctl", verb, "kubelet")
	Expect(err).NotTo(HaveOccurred())
}
