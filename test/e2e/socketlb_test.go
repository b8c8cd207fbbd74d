package e2e_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// Two of the three nodes have a socket load balancer. Only they could tell of the
// third, and their kernels take their dials of it to a pod: whether it answers or
// not, they are answered.
var _ = Describe("Behind a socket load balancer", Ordered, ContinueOnFailure, func() {
	const (
		nodePort, localPort, dualPort = 30055, 30056, 30057

		translated = "Unknown " + v1alpha1.ReasonTranslatedAtSource
		silent     = "Unreachable " + v1alpha1.ReasonTimeout
	)
	var web app
	var behind []node
	var third node

	BeforeAll(func(ctx SpecContext) {
		third = nodes[len(nodes)-1]
		behind = others(third)
		web = app{newNamespace(ctx, "socketlb"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30055, app: {replicas: 2}}`)
		web.waitReady(ctx)
		Eventually(web.rows).WithContext(ctx).Should(Equal(everyNode("Reachable")))
	})

	// becomes expects the third node's row to be right within the promised time,
	// and the others to be as they were.
	becomes := func(ctx SpecContext, row string, act func()) {
		GinkgoHelper()
		since := time.Now()
		act()
		Eventually(web.rows).WithContext(ctx).WithTimeout(noticed - time.Since(since)).WithPolling(50 * time.Millisecond).
			Should(HaveKeyWithValue(third.name, row))
		report(row+", after", tenths(time.Since(since)))
		rows := everyNode("Reachable")
		rows[third.name] = row
		Expect(web.rows(ctx)).To(Equal(rows))
	}

	// tells expects what is said to be right: curl from outside of the cluster, and
	// from a node whose kernel takes it elsewhere.
	tells := func(ctx SpecContext, outside string) {
		GinkgoHelper()
		Expect(dialOutside(ctx, third, nodePort)).To(Equal(outside), "from outside")
		Expect(behind[0].dial(ctx, third, nodePort)).To(Equal("200"), "from a node with a socket load balancer")
	}

	It("tells that nobody can tell, until somebody can", func(ctx SpecContext) {
		noted := web.witness(ctx)
		balancer := interpose(ctx, behind...)
		var mend func(ctx SpecContext)
		becomes(ctx, translated, func() { mend = inject(ctx, third, silence(nodePort)) })
		tells(ctx, timedOut)
		Expect(web.condition(ctx, v1alpha1.ConditionReachable)).To(HavePrefix("Unknown "))
		Expect(web.condition(ctx, v1alpha1.ConditionReady)).NotTo(HavePrefix("True "))
		Expect(web.rowMessage(ctx, third)).To(And(
			ContainSubstring(fmt.Sprintf("%s:%d", third.address, nodePort)), ContainSubstring(":9898")))

		By("scaling, so that the backends are others")
		web.kubectl(ctx, "scale", "exposedapp", "web", "--replicas=1")
		Eventually(web.field).WithContext(ctx).WithArguments("exposedapp", "{.status.replicasSummary}").Should(Equal("1/1"))
		tells(ctx, timedOut)
		for _, word := range noted() {
			Expect(word).To(HavePrefix(third.name + " IPv4 is Unknown"))
		}

		becomes(ctx, silent, balancer.end)
		becomes(ctx, "Reachable", func() { mend(ctx) })
	})

	It("takes no refusal of a pod for one of the node", func(ctx SpecContext) {
		balancer := interpose(ctx, behind...)
		Eventually(web.rows).WithContext(ctx).Should(HaveKeyWithValue(third.name, translated))
		noted := web.witness(ctx)
		// Nothing listens there.
		balancer.sendTo(nodePort, third.address+":9")
		Eventually(behind[0].dial).WithContext(ctx).WithArguments(third, int32(nodePort)).Should(Equal(refused))
		Expect(dialOutside(ctx, third, nodePort)).To(Equal("200"))
		Consistently(web.rows).WithContext(ctx).WithTimeout(uneventful).Should(HaveKeyWithValue(third.name, translated))
		for _, word := range noted() {
			Expect(word).To(HavePrefix(third.name + " IPv4 is Unknown"))
		}
		becomes(ctx, "Reachable", balancer.end)
	})

	It("is not taken in as the agents start", func(ctx SpecContext) {
		balancer := interpose(ctx, behind...)
		mend := inject(ctx, third, silence(nodePort))
		Eventually(web.rows).WithContext(ctx).Should(HaveKeyWithValue(third.name, translated))
		noted := web.witness(ctx)
		for _, n := range behind {
			kubectl(ctx, "delete", "pod", "--namespace", system, "--selector=app.kubernetes.io/component=agent",
				"--field-selector=spec.nodeName="+n.name)
		}
		started := time.Now()
		for _, n := range behind {
			Eventually(renewTime).WithContext(ctx).WithArguments(n).Should(BeTemporally(">", started))
		}
		Consistently(web.rows).WithContext(ctx).WithTimeout(uneventful).Should(HaveKeyWithValue(third.name, translated))
		for _, word := range noted() {
			Expect(word).To(HavePrefix(third.name + " IPv4 is Unknown"))
		}
		balancer.end()
		mend(ctx)
		Eventually(web.rows).WithContext(ctx).Should(Equal(everyNode("Reachable")))
	})

	It("calls no answer unexpected under externalTrafficPolicy Local", func(ctx SpecContext) {
		local := app{web.namespace, "local"}
		apply(ctx, local.namespace, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: local}
spec:
  nodePort: %d
  service: {externalTrafficPolicy: Local}
  app: {nodeSelector: {kubernetes.io/hostname: %s}}`, localPort, behind[len(behind)-1].name))
		local.waitReady(ctx)
		Eventually(local.rows).WithContext(ctx).Should(HaveKeyWithValue(third.name, "(Unreachable NoLocalEndpoint)"))
		noted := local.witness(ctx)
		balancer := interpose(ctx, behind...)
		Eventually(behind[0].dial).WithContext(ctx).WithArguments(third, int32(localPort)).Should(Equal("200"))
		Expect(dialOutside(ctx, third, localPort)).To(Equal(timedOut))
		Consistently(local.rows).WithContext(ctx).WithTimeout(uneventful).
			Should(HaveKeyWithValue(third.name, HaveSuffix(v1alpha1.ReasonNoLocalEndpoint+")")))
		Expect(noted()).NotTo(ContainElement(ContainSubstring(v1alpha1.ReasonUnexpectedAnswer)))
		Expect(local.rows(ctx)).To(HaveKeyWithValue(third.name, "(Unknown "+v1alpha1.ReasonNoLocalEndpoint+")"))
		balancer.end()
	})

	It("tells as much of IPv6", func(ctx SpecContext) {
		if third.ipv6 == "" {
			Skip("the cluster has IPv4 alone")
		}
		dual := app{web.namespace, "dual"}
		apply(ctx, dual.namespace, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: dual}
spec: {nodePort: %d, service: {ipFamilyPolicy: RequireDualStack}}`, dualPort))
		dual.waitReady(ctx)
		v4, v6 := third.name+" IPv4", third.name+" IPv6"
		mend := injectOver(ctx, corev1.IPv6Protocol, third, silence(dualPort))
		Eventually(dual.familyRows).WithContext(ctx).Should(HaveKeyWithValue(v6, silent))
		balancer := interpose(ctx, behind...)
		Eventually(dual.familyRows).WithContext(ctx).WithTimeout(noticed).
			Should(And(HaveKeyWithValue(v4, translated), HaveKeyWithValue(v6, translated)))
		balancer.end()
		Eventually(dual.familyRows).WithContext(ctx).WithTimeout(noticed).
			Should(And(HaveKeyWithValue(v4, "Reachable"), HaveKeyWithValue(v6, silent)))
		mend(ctx)
		Eventually(dual.familyRows).WithContext(ctx).Should(HaveEach("Reachable"))
	})

	It("is told the truth by an observer outside of the cluster", func(ctx SpecContext) {
		observeFromOutside(ctx)
		Eventually(web.outside).WithContext(ctx).Should(Equal(everyNode("Reachable 1/1")))
		balancer := interpose(ctx, behind...)
		Consistently(web.rows).WithContext(ctx).WithTimeout(uneventful).Should(HaveKeyWithValue(third.name, "Reachable"))
		var mend func(ctx SpecContext)
		becomes(ctx, silent, func() { mend = inject(ctx, third, silence(nodePort)) })
		Expect(web.rowMessage(ctx, third)).To(ContainSubstring(outsider))
		balancer.end()
		Consistently(web.rows).WithContext(ctx).WithTimeout(uneventful).Should(HaveKeyWithValue(third.name, silent))
		becomes(ctx, "Reachable", func() { mend(ctx) })
	})

	It("and is told it by agents that may send raw packets", func(ctx SpecContext) {
		deployWith(ctx, "raw-probe")
		balancer := interpose(ctx, behind...)
		Consistently(web.rows).WithContext(ctx).WithTimeout(uneventful).Should(HaveKeyWithValue(third.name, "Reachable"))
		var mend func(ctx SpecContext)
		becomes(ctx, silent, func() { mend = inject(ctx, third, silence(nodePort)) })
		tells(ctx, timedOut)
		becomes(ctx, "Reachable", func() { mend(ctx) })
		becomes(ctx, "Unreachable "+v1alpha1.ReasonConnectionRefused, func() { mend = inject(ctx, third, refusal(nodePort)) })
		becomes(ctx, "Reachable", func() { mend(ctx) })
		balancer.end()
	})

	It("and is gone with whoever feeds it", func(ctx SpecContext) {
		n := behind[0]
		balancer := interpose(ctx, n)
		before, err := standIns(ctx, n)
		Expect(err).NotTo(HaveOccurred())
		Expect(before).NotTo(BeEmpty())
		Expect(balancer.killFeeder(n)).To(Succeed())
		Eventually(standIns).WithContext(ctx).WithArguments(n).ShouldNot(ContainElement(before[0]))
	})
})

// rowMessage returns the message of a node's row.
func (a app) rowMessage(ctx context.Context, n node) (string, error) {
	object, err := a.get(ctx)
	for i := range object.Status.Nodes {
		if object.Status.Nodes[i].Node == n.name {
			return object.Status.Nodes[i].Message, err
		}
	}
	return "", err
}
