package e2e_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

var _ = Describe("The truth", Ordered, ContinueOnFailure, proxied, func() {
	const nodePort = 30040
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "truth"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30040, app: {replicas: 2}}`)
		web.waitReady(ctx)
	})

	// follows expects a row to become what it should within the promised time
	// from the first word of curl.
	follows := func(ctx SpecContext, n node, word, row string) {
		GinkgoHelper()
		var first time.Time
		Eventually(func() (string, error) {
			first = time.Now()
			return others(n)[0].dial(ctx, n, nodePort)
		}).WithContext(ctx).Should(Equal(word))
		Eventually(web.rows).WithContext(ctx).WithTimeout(noticed - time.Since(first)).WithPolling(50 * time.Millisecond).
			Should(HaveKeyWithValue(n.name, row))
		report(fmt.Sprintf("curl: %s → status: %s, after", word, row), tenths(time.Since(first)))
	}

	DescribeTable("is told of a node that",
		func(ctx SpecContext, rule, word, reason string) {
			broken := nodes[len(nodes)-1]
			mend := inject(ctx, broken, rule)
			follows(ctx, broken, word, "Unreachable "+reason)
			rows := everyNode("Reachable")
			rows[broken.name] = "Unreachable " + reason
			Expect(web.rows(ctx)).To(Equal(rows))
			Expect(web.condition(ctx, v1alpha1.ConditionReady)).To(Equal("False " + v1alpha1.ReasonNodesUnreachable))
			Expect(web.kstatus(ctx)).To(Equal(status.InProgressStatus))

			mend(ctx)
			follows(ctx, broken, "200", "Reachable")
			Eventually(web.rows).WithContext(ctx).Should(Equal(everyNode("Reachable")))
			Expect(web.condition(ctx, v1alpha1.ConditionReady)).To(Equal("True " + v1alpha1.ReasonReady))
			Expect(web.kstatus(ctx)).To(Equal(status.CurrentStatus))
		},
		Entry("falls silent", silence(nodePort), timedOut, v1alpha1.ReasonTimeout),
		Entry("refuses to forward", refusal(nodePort), refused, v1alpha1.ReasonConnectionRefused),
	)

	It("does not change when an agent is replaced", func(ctx SpecContext) {
		noted := web.witness(ctx)
		before, err := web.field(ctx, "exposedapp", "{.metadata.resourceVersion}")
		Expect(err).NotTo(HaveOccurred())

		observer := nodes[0]
		kubectl(ctx, "delete", "pod", "--namespace", system, "--selector=app.kubernetes.io/component=agent",
			"--field-selector=spec.nodeName="+observer.name)
		replaced := time.Now()
		kubectl(ctx, "rollout", "status", "--namespace", system, "daemonset/exposedapp-agent", "--timeout", rollout.String())
		// Two reports of the new one, the first of which comes soon.
		renewed := replaced
		for range 2 {
			Eventually(renewTime).WithContext(ctx).WithArguments(observer).Should(BeTemporally(">", renewed))
			renewed, err = renewTime(ctx, observer)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(noted()).To(BeEmpty())
		Expect(web.field(ctx, "exposedapp", "{.metadata.resourceVersion}")).To(Equal(before))
		Expect(web.kstatus(ctx)).To(Equal(status.CurrentStatus))
	})

	It("names the cause when there is no pod", func(ctx SpecContext) {
		web.kubectl(ctx, "scale", "exposedapp", "web", "--replicas=0")
		Eventually(web.condition).WithContext(ctx).WithArguments(v1alpha1.ConditionReachable).
			Should(Equal("False " + v1alpha1.ReasonNoReadyEndpoints))
		Eventually(web.rows).WithContext(ctx).WithTimeout(noticed + rollout).
			Should(Equal(everyNode("Unreachable " + v1alpha1.ReasonNoReadyEndpoints)))
		// Refused by kube-proxy, in ICMP messages that the kernel rations: without
		// one, a dial times out.
		Expect(dialAll(ctx, nodePort)).To(HaveEach(MatchRegexp(": (refused|timed out)$")))
		Expect(web.condition(ctx, v1alpha1.ConditionReady)).To(Equal("False " + v1alpha1.ReasonScaledToZero))
		Expect(web.kstatus(ctx)).To(Equal(status.InProgressStatus))

		web.kubectl(ctx, "scale", "exposedapp", "web", "--replicas=1")
		Eventually(web.rows).WithContext(ctx).Should(Equal(everyNode("Reachable")))
		Eventually(web.kstatus).WithContext(ctx).Should(Equal(status.CurrentStatus))
	})
})

// silence is a chain that drops what comes to node ports.
func silence(ports any) string { return drop("", ports) }

// drop is a chain that drops what matches of what comes to node ports. Only what
// comes from outside passes prerouting: the node still answers itself.
func drop(match string, ports any) string {
	return fmt.Sprintf("chain prerouting { type filter hook prerouting priority raw; %s tcp dport %v drop; }", match, ports)
}

// refusal is a chain that refuses to forward what came to a node port.
func refusal(port any) string {
	return fmt.Sprintf("chain forward { type filter hook forward priority filter; "+
		"meta l4proto tcp ct original proto-dst %v reject with tcp reset; }", port)
}

// inject adds chains to a node's packet filter for IPv4, in a table of their own,
// and returns how to take them out. They are taken out after the spec in any case.
func inject(ctx SpecContext, n node, chains string) (mend func(ctx SpecContext)) {
	GinkgoHelper()
	return injectOver(ctx, corev1.IPv4Protocol, n, chains)
}

// injectOver does what inject does for an IP family.
func injectOver(ctx SpecContext, family corev1.IPFamily, n node, chains string) (mend func(ctx SpecContext)) {
	GinkgoHelper()
	table := "table ip e2e"
	if family == corev1.IPv6Protocol {
		table = "table ip6 e2e"
	}
	_, err := n.run(ctx, "nft", table+" { "+chains+"; }")
	Expect(err).NotTo(HaveOccurred())
	mend = func(ctx SpecContext) {
		GinkgoHelper()
		// To delete a table that is not there is an error, to add one that is
		// there is none.
		_, err := n.run(ctx, "nft", "add "+table+"; delete "+table)
		Expect(err).NotTo(HaveOccurred())
	}
	DeferCleanup(mend)
	return mend
}

// renewTime returns when a node's agent last reported.
func renewTime(ctx context.Context, n node) (time.Time, error) {
	return renewTimeOf(ctx, n.name)
}

// renewTimeOf returns when an observer last reported.
func renewTimeOf(ctx context.Context, observer string) (time.Time, error) {
	object := &v1alpha1.NodeReachability{}
	if err := cluster.Get(ctx, client.ObjectKey{Name: observer}, object); err != nil || object.Status.RenewTime == nil {
		return time.Time{}, err
	}
	return object.Status.RenewTime.Time, nil
}
