package e2e_test

import (
	"context"
	"fmt"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/judge"
)

var _ = Describe("The status is true of pods", Ordered, ContinueOnFailure, faults, func() {
	const nodePort = 30082
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "pods"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30082}`)
		web.waitReady(ctx)
	})

	noEndpoints := words("Unreachable NoReadyEndpoints")
	// either is said while pods come and go.
	either := words("Unreachable NoReadyEndpoints", "Unknown NoReadyEndpoints", "Unknown Pending", reachable)
	// crashing is said as well where pods that are listed as ready do not answer:
	// the kubelet takes a moment to notice.
	crashing := words("Unreachable ConnectionRefused", "Unreachable ConnectionReset")
	maps.Copy(crashing, either)

	fault("that are no longer ready", func(ctx SpecContext, _ int) {
		t := try(ctx, "pods are no longer ready", web, nodePort)
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: onAll(noEndpoints), Passing: undecided},
			func() { web.ask(ctx, "POST", "/readyz/disable") })
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right},
			func() { web.ask(ctx, "POST", "/readyz/enable") })
		t.end()
	})

	// The next one is there within seconds.
	fault("that are killed, all of them", func(ctx SpecContext, _ int) {
		t := try(ctx, "all pods are killed", web, nodePort)
		t.steady(onAll(either))
		before, err := web.podStates(ctx)
		Expect(err).NotTo(HaveOccurred())
		web.kubectl(ctx, "delete", "pods", "--all", "--force", "--grace-period=0")
		Eventually(web.podStates).WithContext(ctx).Should(And(Not(HaveKey(BeKeyOf(before))), HaveEach("ready")))
		Eventually(t.answered).WithContext(ctx).Should(BeTrue())
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right}, func() {})
		t.end()
	})

	// The kubelet starts the first ones anew at once, and later ones after a
	// while.
	fault("that crash again and again", func(ctx SpecContext, _ int) {
		t := try(ctx, "pods crash again and again", web, nodePort)
		t.steady(onAll(crashing))
		for crashes := range 3 {
			Eventually(web.podStates).WithContext(ctx).Should(HaveEach("ready"))
			web.ask(ctx, "GET", "/panic")
			Eventually(web.restarts).WithContext(ctx).Should(BeNumerically(">", crashes))
		}
		web.ask(ctx, "GET", "/panic")
		Eventually(web.podStates).WithContext(ctx).Should(HaveEach("CrashLoopBackOff"))
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: onAll(noEndpoints), Passing: either}, func() {})
		t.phase(ctx, judge.Phase{Turn: judge.Dialled, Right: t.Phases[0].Right}, func() {
			web.kubectl(ctx, "delete", "pods", "--all", "--force", "--grace-period=0")
		})
		t.end()
	}, slow)
})

var _ = Describe("The status is true of a new app", Ordered, ContinueOnFailure, faults, func() {
	const nodePort = 30083

	// comes tries an app that has no ready pod until it is mended.
	comes := func(ctx SpecContext, name, spec, mended string) {
		GinkgoHelper()
		web := app{newNamespace(ctx, "new"), "web"}
		t := begin(ctx, name, web, onAll(words(judge.Gone)), nodePort)
		t.phase(ctx, judge.Phase{
			Turn:    judge.Dialled,
			Right:   onAll(words("Unreachable NoReadyEndpoints")),
			Passing: undecided,
		}, func() {
			apply(ctx, web.namespace, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: %d, app: %s}`, nodePort, spec))
		})
		Expect(web.condition(ctx, v1alpha1.ConditionAvailable)).To(HavePrefix("False "))
		t.phase(ctx, judge.Phase{
			Turn:    judge.Dialled,
			Right:   onAll(words(reachable)),
			Passing: undecided,
		}, func() { web.patch(ctx, mended) })
		t.end()
		web.kubectl(ctx, "delete", "exposedapp", "web")
		web.kubectl(ctx, "wait", "--for=delete", "service/web", "--timeout", rollout.String())
	}

	fault("whose image does not exist", func(ctx SpecContext, _ int) {
		comes(ctx, "a new app has no image", "{image: 'example.invalid/nothing:1'}", `{"app": {"image": null}}`)
	}, slow)

	fault("that crashes as it starts", func(ctx SpecContext, _ int) {
		comes(ctx, "a new app crashes", "{args: [./podinfo, --no-such-flag]}", `{"app": {"args": null}}`)
	}, slow)
})

// podStates returns whether the app's pods are ready, or what their containers
// wait for, by the pods' names. It is an error if there is none.
func (a app) podStates(ctx context.Context) (map[string]string, error) {
	var pods corev1.PodList
	err := cluster.List(ctx, &pods, client.InNamespace(a.namespace), client.MatchingLabels{v1alpha1.AppLabel: a.name})
	states := make(map[string]string)
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil {
			continue
		}
		states[pod.Name] = string(pod.Status.Phase)
		for _, container := range pod.Status.ContainerStatuses {
			switch {
			case container.Ready:
				states[pod.Name] = "ready"
			case container.State.Waiting != nil:
				states[pod.Name] = container.State.Waiting.Reason
			}
		}
	}
	if err == nil && len(states) == 0 {
		err = fmt.Errorf("%s has no pod", a.key())
	}
	return states, err
}

// restarts returns how often the containers of an app started anew.
func (a app) restarts(ctx context.Context) (restarts int, err error) {
	var pods corev1.PodList
	err = cluster.List(ctx, &pods, client.InNamespace(a.namespace), client.MatchingLabels{v1alpha1.AppLabel: a.name})
	for i := range pods.Items {
		for _, container := range pods.Items[i].Status.ContainerStatuses {
			restarts += int(container.RestartCount)
		}
	}
	return restarts, err
}

// ask sends a request to each of the app's pods from a node.
func (a app) ask(ctx context.Context, method, path string) {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(cluster.List(ctx, &pods, client.InNamespace(a.namespace), client.MatchingLabels{v1alpha1.AppLabel: a.name})).To(Succeed())
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil {
			continue
		}
		// A pod that crashes does not answer, and one that is starting refuses.
		_, err := nodes[0].run(ctx, "curl", "--silent", "--show-error", "--output", "/dev/null", "--max-time", "2",
			"--retry", "20", "--retry-delay", "1", "--retry-connrefused", "--request", method,
			fmt.Sprintf("http://%s:9898%s", pod.Status.PodIP, path))
		if path != "/panic" {
			Expect(err).NotTo(HaveOccurred())
		}
	}
}
