package agent

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/test/gen"
)

const (
	pod       = "10.244.0.5:9898"
	clusterIP = "10.96.0.1:80"
	health    = "10.0.0.1:10256"
)

// withPaths has an app on 30000 of two other nodes, with a cluster IP and a ready
// pod.
func (b *bubble) withPaths() {
	b.amongNodes(2, 2)
	services := onPorts(30000, 30001)
	services[0].ClusterIPs[0] = netip.MustParseAddrPort(clusterIP)
	b.list("8", services...)
	b.g.Expect(endpointStore(b.loop).Update(gen.DialledSlice())).To(Succeed())
	b.wait(12 * time.Second)
	b.g.Expect(b.last()).To(Satisfy(clean))
}

func (b *bubble) dialledPaths() int {
	return b.dialled(pod) + b.dialled(clusterIP) + b.dialled(health)
}

func TestEvidence(t *testing.T) {
	ok, no, silent := behaviour{}, behaviour{result: refused()}, behaviour{after: time.Hour}
	unwell := behaviour{result: probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 503"}}
	for _, tc := range []struct {
		name                   string
		broken                 behaviour
		pod, clusterIP, health behaviour
		want                   v1alpha1.Evidence
	}{
		{"only the node", no, ok, ok, ok, v1alpha1.Evidence{Pod: "Reached", ClusterIP: "Reached", KubeProxy: "Reached"}},
		{"the app", no, no, no, ok, v1alpha1.Evidence{
			Pod: "ConnectionRefused", ClusterIP: "ConnectionRefused", KubeProxy: "Reached"}},
		{"the proxy", silent, ok, ok, unwell, v1alpha1.Evidence{
			Pod: "Reached", ClusterIP: "Reached", KubeProxy: "HTTPStatus"}},
		{"all silent", silent, silent, silent, silent, v1alpha1.Evidence{
			Pod: "Timeout", ClusterIP: "Timeout", KubeProxy: "Timeout"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(_ *testing.T, b *bubble) {
				b.withPaths()
				b.g.Expect(b.dialledPaths()).To(BeZero(), "nothing is wrong")
				b.make(pod, tc.pod)
				b.make(clusterIP, tc.clusterIP)
				b.make(health, tc.health)
				b.make(one, tc.broken)
				b.until(fails)
				b.g.Expect(b.last().Failures).To(HaveLen(1))
				b.g.Expect(b.last().Failures[0].Evidence).To(Equal(&tc.want), "the first report has it")

				dials := b.dialledPaths()
				b.wait(time.Minute)
				b.g.Expect(b.dialledPaths()-dials).To(BeNumerically("~", 30, 10), "again every 5 s or so")
				b.g.Expect(b.last().Failures[0].Evidence).To(Equal(&tc.want))

				b.make(one, behaviour{})
				b.until(clean)
				b.wait(3 * time.Second)
				dials = b.dialledPaths()
				b.wait(time.Minute)
				b.g.Expect(b.dialledPaths()).To(Equal(dials), "it is over")
				b.g.Expect(b.dialled("10.0.0.2:10256")).To(BeZero())
			})
		})
	}
}

// TestNoProxyIsNoEvidenceWhereThereIsNoneAtAll: something else than kube-proxy
// may serve a cluster's node ports.
func TestNoProxyIsNoEvidenceWhereThereIsNoneAtAll(t *testing.T) {
	for _, tc := range []struct {
		name        string
		health, own behaviour
		want        string
	}{
		{"neither has one", behaviour{result: refused()}, behaviour{result: refused()}, ""},
		{"the node is silent", behaviour{after: time.Hour}, behaviour{result: refused()}, "Timeout"},
		{"the other node has none", behaviour{result: refused()}, behaviour{}, "ConnectionRefused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(_ *testing.T, b *bubble) {
				b.withPaths()
				b.make(health, tc.health)
				b.make("10.0.0.9:10256", tc.own)
				b.make(one, behaviour{result: refused()})
				b.until(fails)
				b.wait(10 * time.Second)
				b.g.Expect(b.last().Failures[0].Evidence.KubeProxy).To(Equal(tc.want))
			})
		})
	}
}

// TestEvidenceChanges: what changes while the failure lasts is reported, and the
// former pod's word goes with the pod.
func TestEvidenceChanges(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		says := func(pod, proxy string) func(v1alpha1.NodeReachabilityStatus) bool {
			return func(s v1alpha1.NodeReachabilityStatus) bool {
				return fails(s) && s.Failures[0].Evidence.Pod == pod && s.Failures[0].Evidence.KubeProxy == proxy
			}
		}
		b.withPaths()
		b.make(one, behaviour{result: refused()})
		b.until(says("Reached", "Reached"))
		b.make(health, behaviour{result: refused()})
		b.g.Expect(b.until(says("Reached", "ConnectionRefused"))).To(BeNumerically("<=", 6*time.Second))
		b.wait(2 * time.Second)

		reports := len(b.reports())
		for range 5 {
			b.make(health, behaviour{after: time.Hour})
			b.wait(7 * time.Second)
			b.make(health, behaviour{result: refused()})
			b.wait(7 * time.Second)
		}
		b.g.Expect(len(b.reports())-reports).To(BeNumerically("<=", 8),
			"heartbeats alone: refusals and silence that take turns are no news")

		b.make("10.244.0.6:9898", behaviour{result: refused()})
		b.g.Expect(endpointStore(b.loop).Update(gen.DialledSlice(func(s *discoveryv1.EndpointSlice) {
			s.Endpoints = s.Endpoints[:1]
			s.Endpoints[0].Addresses = []string{"10.244.0.6"}
		}))).To(Succeed())
		b.g.Expect(b.until(says("ConnectionRefused", "ConnectionRefused"))).To(BeNumerically("<=", 1200*time.Millisecond))
		b.g.Expect(endpointStore(b.loop).Delete(gen.DialledSlice())).To(Succeed())
		b.until(says("", "ConnectionRefused"))
	})
}

// TestEvidenceIsNotAwaited: the report goes out without it.
func TestEvidenceIsNotAwaited(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.withPaths()
		for _, address := range []string{pod, clusterIP, health} {
			b.make(address, behaviour{after: time.Hour})
		}
		b.make(one, behaviour{result: refused()})
		b.g.Expect(b.until(fails)).To(BeNumerically("<=", 5250*time.Millisecond))
		b.g.Expect(b.last().Failures[0].Evidence).To(BeNil())
		b.until(func(s v1alpha1.NodeReachabilityStatus) bool { return s.Failures[0].Evidence != nil })
	})
}

// TestEvidenceDialsNothingOdd: an EndpointSlice is data from the cluster.
func TestEvidenceDialsNothingOdd(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "metadata"} {
		inBubble(t, func(_ *testing.T, b *bubble) {
			b.amongNodes(2, 1)
			b.g.Expect(endpointStore(b.loop).Update(gen.DialledSlice(func(s *discoveryv1.EndpointSlice) {
				s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{address}}}
			}))).To(Succeed())
			b.make(one, behaviour{result: refused()})
			b.until(fails)
			b.wait(time.Minute)
			for target := range b.dials {
				b.g.Expect(target.Addr().String()).To(HavePrefix("10.0.0."))
			}
		})
	}
}

// TestNoEvidenceOnTheNodeItself: its own failures explain themselves.
func TestNoEvidenceOnTheNodeItself(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.withPaths()
		b.make("10.0.0.9:30000", behaviour{result: refused()})
		b.until(fails)
		b.wait(time.Minute)
		b.g.Expect(b.dialledPaths() + b.dialled("10.0.0.9:10256")).To(BeZero())
		b.g.Expect(b.last().Failures[0].Evidence).To(BeNil())
	})
}
