package agent_test

import (
	"context"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent"
)

var _ = Describe("Agent outside of the cluster", func() {
	// check asks with the rights of config.
	check := func(ctx context.Context, config *rest.Config, observer string) error {
		GinkgoHelper()
		c, err := agent.NewClient(config, "test")
		Expect(err).NotTo(HaveOccurred())
		return c.CheckOutside(ctx, observer)
	}

	// label sets or, if empty, takes off the label of a NodeReachability.
	label := func(ctx context.Context, reachability *v1alpha1.NodeReachability, vantage string) {
		GinkgoHelper()
		reachability.Labels = map[string]string{v1alpha1.VantageLabel: vantage}
		Expect(k8s.Update(ctx, reachability)).To(Succeed())
	}

	It("is told at the start what is missing", func(ctx context.Context) {
		Expect(check(ctx, config, "office")).To(MatchError(ContainSubstring("there is no NodeReachability office: an admin makes it")))
		reachability := assign(ctx, "office", "10.0.0.1")
		Expect(check(ctx, config, "office")).To(MatchError(
			ContainSubstring("kubectl label nodereachability office exposedapp.dev/vantage=outside")))
		label(ctx, reachability, v1alpha1.VantageOutside)
		Expect(check(ctx, config, "office")).To(Succeed())

		stranger := rest.AnonymousClientConfig(config)
		Expect(check(ctx, stranger, "office")).To(MatchError(ContainSubstring("should be the ServiceAccount office")))
		stranger.BearerToken = "expired"
		Expect(check(ctx, stranger, "office")).To(MatchError(ContainSubstring("kubectl create token office")))

		nowhere := rest.CopyConfig(config)
		nowhere.Host = "https://127.0.0.1:1"
		Expect(check(ctx, nowhere, "office")).To(Succeed(), "it may be back soon")

		reachability.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "office", UID: "1"}}
		Expect(k8s.Update(ctx, reachability)).To(Succeed())
		Expect(check(ctx, config, "office")).To(MatchError(ContainSubstring("is that of the Node of its name")))
	})

	It("reports while its object has the label", func(ctx context.Context) {
		expose(ctx, "outside", 31080, "/")
		reachability := assign(ctx, "site", "10.0.0.1")
		c, err := agent.NewClient(config, "test")
		Expect(err).NotTo(HaveOccurred())
		running, stop := context.WithCancel(context.Background())
		var ended sync.WaitGroup
		ended.Go(func() {
			(&agent.Agent{Client: c, NodeName: "site", Outside: true, Prober: newNetwork(), Workers: 8}).Run(running)
		})
		DeferCleanup(func() { stop(); ended.Wait() })

		report := reportOf(ctx, "site")
		Consistently(report, "2s").Should(HaveField("RenewTime", BeNil()))
		label(ctx, reachability, v1alpha1.VantageOutside)
		Eventually(report).Should(WithTransform(nodePorts, Equal("31080")))
	})
})
