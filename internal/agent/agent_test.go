package agent_test

import (
	"context"
	"net/netip"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
)

type status = v1alpha1.NodeReachabilityStatus

func nodePorts(s status) string  { return s.NodePorts }
func generation(s status) int64  { return s.ObservedGeneration }
func renewed(s status) time.Time { return s.RenewTime.Time }

// reached returns the number of probes that were answered, where there were no
// others.
func reached(s status) int64 {
	Expect(s.Probes.Results).To(ConsistOf(HaveField("Result", "Reached")))
	return s.Probes.Results[0].Count
}

// latencies returns the number of probes in the histogram.
func latencies(s status) (n int64) {
	for _, count := range s.Probes.Latency.Counts {
		n += count
	}
	return n
}

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
				Evidence: &v1alpha1.Evidence{ClusterIP: v1alpha1.EvidenceReached},
			})),
		))

		By("seeing it mended")
		network.answer("10.0.0.1:31000/ready", probe.Result{})
		Eventually(report).Should(HaveField("Failures", BeEmpty()))

		By("following the Service's end")
		Expect(k8s.Delete(ctx, svc)).To(Succeed())
		Eventually(report).Should(WithTransform(nodePorts, BeEmpty()))
		Expect(network.dialled).To(And(
			HaveLen(4),
			HaveKey(netip.MustParseAddrPort("10.0.0.1:31000")),
			HaveKey(netip.MustParseAddrPort("10.0.0.2:31000")),
			HaveKey(netip.MustParseAddrPort("10.0.0.1:10256")),
			HaveKey(netip.MustParseAddrPort(svc.Spec.ClusterIP+":80")),
		))
	})

	It("tells what it found on other ways", func(ctx context.Context) {
		svc := expose(ctx, "ways", 31060, "/ways")
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: svc.Namespace,
				Name:      "ways-abc",
				Labels: map[string]string{
					v1alpha1.ManagedByLabel:      v1alpha1.ManagedByValue,
					discoveryv1.LabelServiceName: svc.Name,
				},
			},
			AddressType: discoveryv1.AddressTypeIPv4,
			Ports:       []discoveryv1.EndpointPort{{Port: new(int32(9898))}},
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.5"}}},
		}
		Expect(k8s.Create(ctx, slice)).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			Expect(client.IgnoreNotFound(k8s.Delete(ctx, slice))).To(Succeed())
		})
		reachability := assign(ctx, "ways", "10.0.0.1")
		reachability.Spec.Targets = append(reachability.Spec.Targets,
			v1alpha1.Target{Node: "ways", Addresses: []string{"10.0.0.9"}})
		Expect(k8s.Update(ctx, reachability)).To(Succeed())
		network := newNetwork()
		network.answer("10.0.0.1:31060/ways", refused)
		network.answer("10.244.0.5:9898/ways", refused)
		network.run("ways")
		evidence := func(s status) *v1alpha1.Evidence {
			if len(s.Failures) == 0 {
				return nil
			}
			return s.Failures[0].Evidence
		}
		report := reportOf(ctx, "ways")
		Eventually(report).Should(WithTransform(evidence, HaveValue(Equal(v1alpha1.Evidence{
			Pod:       v1alpha1.ReasonConnectionRefused,
			ClusterIP: v1alpha1.EvidenceReached,
			KubeProxy: v1alpha1.EvidenceReached,
		}))))

		By("following the EndpointSlice's end")
		Expect(k8s.Delete(ctx, slice)).To(Succeed())
		Eventually(report).Should(WithTransform(evidence, HaveValue(HaveField("Pod", BeEmpty()))))
	})

	It("answers a request for newer results", func(ctx context.Context) {
		expose(ctx, "asked", 31070, "/")
		reachability := assign(ctx, "asked", "10.0.0.1")
		newNetwork().run("asked")
		report := reportOf(ctx, "asked")
		Eventually(report).Should(WithTransform(nodePorts, Equal("31070")))
		before := reachability.DeepCopy()
		reachability.Spec.Recheck = &v1alpha1.Recheck{Round: 9, NodePorts: "31070", Addresses: []string{"10.0.0.1"}}
		Expect(k8s.Patch(ctx, reachability, client.MergeFrom(before))).To(Succeed())
		Eventually(report).Should(HaveField("RecheckRound", BeEquivalentTo(9)))
	})

	It("renews an unchanged report, and changes nothing but the time and the counts of probes", func(ctx context.Context) {
		svc := expose(ctx, "steady", 31010, "/")
		assign(ctx, "steady", "10.0.0.1")
		newNetwork().run("steady")

		report := reportOf(ctx, "steady")
		Eventually(report).Should(Satisfy(covers(svc)))
		first := report(NewWithT(GinkgoT()))
		Eventually(report).Should(WithTransform(renewed, BeTemporally(">", first.RenewTime.Add(2*time.Second))))
		later := report(NewWithT(GinkgoT()))
		Expect(later.Probes.StartTime).To(Equal(first.Probes.StartTime))
		Expect(reached(later)).To(BeNumerically(">", reached(first)))
		Expect(latencies(later)).To(Equal(reached(later)))
		later.RenewTime, later.Probes = first.RenewTime, first.Probes
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
