package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

var _ = Describe("Dual stack", Ordered, ContinueOnFailure, proxied, func() {
	const (
		v4, v6 = corev1.IPv4Protocol, corev1.IPv6Protocol

		requiredPort, preferredPort, singlePort = 30065, 30066, 30067
	)
	var required, preferred, single app

	BeforeAll(func(ctx SpecContext) {
		for _, n := range nodes {
			if n.ipv6 == "" {
				Skip("the cluster has IPv4 alone: node " + n.name + " has no IPv6 address")
			}
		}
		namespace := newNamespace(ctx, "dualstack")
		required, preferred, single = app{namespace, "required"}, app{namespace, "preferred"}, app{namespace, "single"}
		apply(ctx, namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: required}
spec: {nodePort: 30065, service: {ipFamilyPolicy: RequireDualStack}}
---
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: preferred}
spec: {nodePort: 30066, service: {ipFamilyPolicy: PreferDualStack}}
---
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: single}
spec: {nodePort: 30067, service: {ipFamilyPolicy: SingleStack}}`)
		for _, a := range []app{required, preferred, single} {
			a.waitReady(ctx)
		}
	})

	// speaks expects an app to answer on every node over these families and over
	// no other, and its status to say just that.
	speaks := func(ctx SpecContext, a app, nodePort int32, families ...corev1.IPFamily) {
		GinkgoHelper()
		expected := len(nodes) * len(families)
		Eventually(a.familyRows).WithContext(ctx).Should(Equal(everyFamily("Reachable", families...)))
		Expect(a.field(ctx, "exposedapp", "{.status.reachability.summary}")).To(Equal(fmt.Sprintf("%d/%d", expected, expected)))
		Expect(a.addresses(ctx)).To(ConsistOf(addressesOf(families...)))
		Expect(a.kstatus(ctx)).To(Equal(status.CurrentStatus))
		for _, family := range []corev1.IPFamily{v4, v6} {
			says := HaveEach(HaveSuffix(": 200"))
			if !slices.Contains(families, family) {
				says = HaveEach(HaveSuffix(": " + refused))
			}
			said, err := dialAllOver(ctx, family, nodePort)
			Expect(err).NotTo(HaveOccurred())
			Expect(said).To(HaveLen(len(nodes) * (len(nodes) - 1)))
			Expect(said).To(says, string(family))
		}
	}

	It("has a verdict per node and family, where it is required", func(ctx SpecContext) {
		speaks(ctx, required, requiredPort, v4, v6)
	})

	It("has a verdict per node and family, where it is preferred", func(ctx SpecContext) {
		speaks(ctx, preferred, preferredPort, v4, v6)
	})

	It("leaves an app of a single family alone", func(ctx SpecContext) {
		speaks(ctx, single, singlePort, v4)
	})

	DescribeTable("tells the family over which a node",
		func(ctx SpecContext, family, other corev1.IPFamily, chains func(any) string, word, reason string) {
			broken := nodes[len(nodes)-1]
			row := broken.name + " " + string(family)
			observer := others(broken)[0]
			dials := func(over corev1.IPFamily) (string, error) {
				return observer.dial(ctx, broken.over(over), requiredPort)
			}
			// follows expects the row to be right within the promised time from
			// the first such word of curl, and the other rows to stay as they are.
			follows := func(word, what string) {
				GinkgoHelper()
				var first time.Time
				Eventually(func() (string, error) {
					first = time.Now()
					return dials(family)
				}).WithContext(ctx).Should(Equal(word))
				Eventually(required.familyRows).WithContext(ctx).WithTimeout(noticed - time.Since(first)).
					WithPolling(50 * time.Millisecond).Should(HaveKeyWithValue(row, what))
				report(fmt.Sprintf("curl over %s: %s → status: %s, after", family, word, what), tenths(time.Since(first)))
				rows := everyFamily("Reachable", v4, v6)
				rows[row] = what
				Expect(required.familyRows(ctx)).To(Equal(rows))
				Expect(dials(other)).To(Equal("200"))
			}

			noted := required.witness(ctx)
			mend := injectOver(ctx, family, broken, chains(requiredPort))
			follows(word, "Unreachable "+reason)
			required.kubectl(ctx, "wait", "--for=condition=Ready=False", "exposedapp/required", "--timeout=10s")
			Expect(required.condition(ctx, v1alpha1.ConditionReady)).To(Equal("False " + v1alpha1.ReasonNodesUnreachable))
			Expect(required.field(ctx, "exposedapp", "{.status.reachability.summary}")).To(Equal("5/6"))
			Expect(required.kstatus(ctx)).To(Equal(status.InProgressStatus))

			mend(ctx)
			follows("200", "Reachable")
			Expect(noted()).To(HaveEach(HavePrefix(row + " is Unreachable")))
			required.waitReady(ctx)
			Expect(required.kstatus(ctx)).To(Equal(status.CurrentStatus))
		},
		Entry("falls silent: IPv6", v6, v4, silence, timedOut, v1alpha1.ReasonTimeout),
		Entry("falls silent: IPv4", v4, v6, silence, timedOut, v1alpha1.ReasonTimeout),
		Entry("refuses to forward: IPv6", v6, v4, refusal, refused, v1alpha1.ReasonConnectionRefused),
	)

	It("counts no silence over IPv6 against an app of IPv4", func(ctx SpecContext) {
		noted := single.witness(ctx)
		broken := nodes[len(nodes)-1]
		// Dropped for two apps, so that the one tells when it was noticed.
		mend := injectOver(ctx, v6, broken, silence(fmt.Sprintf("{ %d, %d }", singlePort, preferredPort)))
		Eventually(preferred.familyRows).WithContext(ctx).
			Should(HaveKeyWithValue(broken.name+" IPv6", "Unreachable "+v1alpha1.ReasonTimeout))
		Expect(single.familyRows(ctx)).To(Equal(everyFamily("Reachable", v4)))
		mend(ctx)
		Eventually(preferred.familyRows).WithContext(ctx).Should(Equal(everyFamily("Reachable", v4, v6)))
		Expect(noted()).To(BeEmpty())
	})

	It("follows its policy from one family to two, and back", func(ctx SpecContext) {
		for _, step := range []struct {
			policy   string
			families []corev1.IPFamily
		}{
			{"RequireDualStack", []corev1.IPFamily{v4, v6}},
			{"SingleStack", []corev1.IPFamily{v4}},
		} {
			single.kubectl(ctx, "patch", "exposedapp", "single", "--type=merge",
				`--patch={"spec": {"service": {"ipFamilyPolicy": "`+step.policy+`"}}}`)
			single.waitReady(ctx)
			speaks(ctx, single, singlePort, step.families...)
		}
	})
})

// familyRows is rows by node and family, as in "worker IPv6".
func (a app) familyRows(ctx context.Context) (map[string]string, error) {
	object, err := a.get(ctx)
	rows := make(map[string]string)
	for i := range object.Status.Nodes {
		verdict := &object.Status.Nodes[i]
		rows[verdict.Node+" "+string(verdict.Family)] = rowOf(verdict)
	}
	return rows, err
}

// addresses returns the addresses that the verdicts are about.
func (a app) addresses(ctx context.Context) ([]string, error) {
	object, err := a.get(ctx)
	var addresses []string
	for i := range object.Status.Nodes {
		addresses = append(addresses, object.Status.Nodes[i].Address)
	}
	return addresses, err
}

// everyFamily returns the familyRows that say one thing of every node over each
// of these families.
func everyFamily(row string, families ...corev1.IPFamily) map[string]string {
	rows := make(map[string]string)
	for _, n := range nodes {
		for _, family := range families {
			rows[n.name+" "+string(family)] = row
		}
	}
	return rows
}

// addressesOf returns the nodes' addresses of these families.
func addressesOf(families ...corev1.IPFamily) []string {
	var addresses []string
	for _, n := range nodes {
		for _, family := range families {
			addresses = append(addresses, n.over(family).address)
		}
	}
	return addresses
}
