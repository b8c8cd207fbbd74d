package agent_test

import (
	"context"
	"net/netip"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
)

type status = v1alpha1.NodeReachabilityStatus

func nodePorts(s status) string  { return s.NodePorts }
func generation(s status) int64  { return s.ObservedGeneration }
func renewed(s status) time.Time { return s.RenewTime.Time }

// covers matches a report that knows of svc as it is now.
func covers(svc *corev1.Service) func(status) bool {
	return func(s status) bool {
		order, err := resourceversion.CompareResourceVersion(s.ServicesResourceVersion, svc.ResourceVersion)
		return err == nil && order >= 0
	}
}

var _ = Describe("Agent", func() {
	refused := probe.Result{Reason: probe.ConnectionRefused, Message: "connect: connection refused"}

	It("dials the operator's node ports on the addresses it is given", func(ctx context.Context) {
		svc := expose(ctx, "web", 31000, "/ready")
		foreign := expose(ctx, "foreign", 31001, "/")
		foreign.OwnerReferences = nil
		Expect(k8s.Update(ctx, foreign)).To(Succeed())
		reachability := assign(ctx, "reporter", "10.0.0.2", "169.254.169.254")

		network := newNetwork()
		network.answer("10.0.0.1:31000/ready", refused)
		network.run("reporter")

		report := reportOf(ctx, "reporter")
		Eventually(report).Should(SatisfyAll(
			HaveField("Addresses", Equal([]string{"10.0.0.2"})),
			WithTransform(nodePorts, Equal("31000")),
			Satisfy(covers(svc)),
			Satisfy(covers(foreign)),
			WithTransform(generation, Equal(reachability.Generation)),
			HaveField("Failures", BeEmpty()),
			HaveField("Pending", BeEmpty()),
		))

		By("following another assignment")
		before := reachability.DeepCopy()
		reachability.Spec.Targets[0].Addresses = []string{"10.0.0.1", "10.0.0.2"}
		Expect(k8s.Patch(ctx, reachability, client.MergeFrom(before))).To(Succeed())
		Eventually(report).Should(SatisfyAll(
			WithTransform(generation, Equal(reachability.Generation)),
			HaveField("Addresses", Equal([]string{"10.0.0.1", "10.0.0.2"})),
			HaveField("Failures", ConsistOf(v1alpha1.ProbeFailure{
				Reason: v1alpha1.ReasonConnectionRefused, Message: "connect: connection refused",
				NodePorts: "31000", Addresses: []string{"10.0.0.1"},
			})),
		))

		By("seeing it mended")
		network.answer("10.0.0.1:31000/ready", probe.Result{})
		Eventually(report).Should(HaveField("Failures", BeEmpty()))

		By("following the Service's end")
		Expect(k8s.Delete(ctx, svc)).To(Succeed())
		Eventually(report).Should(WithTransform(nodePorts, BeEmpty()))
		Expect(network.dialled).To(HaveLen(2))
		Expect(network.dialled).To(HaveKey(netip.MustParseAddrPort("10.0.0.2:31000")))
	})

	It("renews an unchanged report, and changes nothing but the time", func(ctx context.Context) {
		svc := expose(ctx, "steady", 31010, "/")
		assign(ctx, "steady", "10.0.0.1")
		newNetwork().run("steady")

		report := reportOf(ctx, "steady")
		Eventually(report).Should(Satisfy(covers(svc)))
		first := report(NewWithT(GinkgoT()))
		Eventually(report).Should(WithTransform(renewed, BeTemporally(">", first.RenewTime.Add(2*time.Second))))
		later := report(NewWithT(GinkgoT()))
		later.RenewTime = first.RenewTime
		Expect(later).To(Equal(first))
	})

	It("reports nothing of an app that had the port before", func(ctx context.Context) {
		before := expose(ctx, "before", 31020, "/before")
		assign(ctx, "takeover", "10.0.0.1")
		network := newNetwork()
		network.answer("10.0.0.1:31020/after", refused)
		network.run("takeover")
		report := reportOf(ctx, "takeover")
		Eventually(report).Should(SatisfyAll(Satisfy(covers(before)), WithTransform(nodePorts, Equal("31020"))))

		Expect(k8s.Delete(ctx, before)).To(Succeed())
		after := expose(ctx, "after", 31020, "/after")
		Eventually(func(g Gomega) {
			s := report(g)
			if covers(after)(s) {
				g.Expect(len(s.Pending)+len(s.Failures)).NotTo(BeZero(), "the new app was never reached")
			}
			g.Expect(s.Failures).To(HaveLen(1))
		}).Should(Succeed())
		Expect(report(NewWithT(GinkgoT()))).To(Satisfy(covers(after)))
	})

	It("begins anew after a restart", func(ctx context.Context) {
		expose(ctx, "web", 31030, "/")
		assign(ctx, "restart", "10.0.0.1")
		network := newNetwork()
		stop := network.run("restart")
		report := reportOf(ctx, "restart")
		Eventually(report).Should(WithTransform(nodePorts, Equal("31030")))
		stop()

		last := report(NewWithT(GinkgoT()))
		late := expose(ctx, "late", 31031, "/")
		network.answer("10.0.0.1:31030/", refused)
		Consistently(report, "1.5s").Should(Equal(last), "nobody is there to write")

		network.run("restart")
		Eventually(report).Should(SatisfyAll(
			Satisfy(covers(late)),
			WithTransform(nodePorts, Equal("31030-31031")),
			HaveField("Failures", ConsistOf(HaveField("NodePorts", "31030"))),
		))
	})

	It("waits for its NodeReachability, each time", func(ctx context.Context) {
		svc := expose(ctx, "web", 31040, "/")
		newNetwork().run("waiting")
		for range 2 {
			reachability := assign(ctx, "waiting", "10.0.0.1")
			Eventually(reportOf(ctx, "waiting")).Should(SatisfyAll(
				WithTransform(nodePorts, Equal("31040")),
				Satisfy(covers(svc)),
			))
			Expect(k8s.Delete(ctx, reachability)).To(Succeed())
		}
	})

	It("takes back what others write into its report", func(ctx context.Context) {
		expose(ctx, "web", 31050, "/")
		reachability := assign(ctx, "forged", "10.0.0.1")
		newNetwork().run("forged")
		report := reportOf(ctx, "forged")
		Eventually(report).Should(WithTransform(nodePorts, Equal("31050")))

		forged := client.RawPatch(client.Merge.Type(), []byte(`{"status":{"nodePorts":"1-65535"}}`))
		Expect(k8s.Status().Patch(ctx, reachability, forged, client.FieldOwner("forger"))).To(Succeed())
		Eventually(report).Should(WithTransform(nodePorts, Equal("31050")))
	})
})
