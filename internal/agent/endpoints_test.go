package agent

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/internal/agent/service"
)

// aSlice is a slice of the Service that onPorts puts on 30000.
func aSlice(change ...func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name:   "30000-abc",
			Labels: map[string]string{discoveryv1.LabelServiceName: "30000"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Port: new(int32(9898)), Protocol: new(corev1.ProtocolTCP)}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.244.0.7"}},
			{Addresses: []string{"10.244.0.5"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true)}},
			{Addresses: []string{"10.244.0.3"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true)}},
			{Addresses: []string{"10.244.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false), Serving: new(false)}},
		},
	}
	for _, c := range change {
		c(slice)
	}
	return slice
}

func TestEndpointsSurviveTransformer(t *testing.T) {
	g := NewWithT(t)
	want, _ := service.EndpointsOf(aSlice())
	got, err := endpointStore(nil).Transformer()(aSlice())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got.(*slim[service.Endpoints]).kept).To(BeTrue())
	g.Expect(got.(*slim[service.Endpoints]).form).To(Equal(want))
}

// endpointDelay is how long after a change of endpoints a Service is probed.
const endpointDelay = 300 * time.Millisecond

type endpoints = store[*discoveryv1.EndpointSlice, service.Endpoints]

func slimSlice(slice *discoveryv1.EndpointSlice) any {
	return endpointStore(nil).slim(slice)
}

// TestEndpointsChange: a change has the Service probed, and nothing forgotten; no
// change does nothing.
func TestEndpointsChange(t *testing.T) {
	ready := func(s *discoveryv1.EndpointSlice) { s.Endpoints[2].Conditions.Ready = new(true) }
	for _, tc := range []struct {
		name   string
		probes bool
		does   func(endpoints) error
	}{
		{"another set", true, func(s endpoints) error { return s.Update(aSlice(ready)) }},
		{"none", true, func(s endpoints) error { return s.Delete(aSlice()) }},
		{"another set, after an outage", true, func(s endpoints) error { return s.Replace([]any{slimSlice(aSlice(ready))}, "8") }},
		{"the same", false, func(s endpoints) error { return s.Update(aSlice()) }},
		{"the same, after an outage", false, func(s endpoints) error { return s.Replace([]any{slimSlice(aSlice())}, "8") }},
		{"shared by two slices", false, func(s endpoints) error {
			half := func(from, to int) *discoveryv1.EndpointSlice {
				return aSlice(func(s *discoveryv1.EndpointSlice) {
					s.Name += string(rune('a' + from))
					s.Endpoints = s.Endpoints[from:to]
				})
			}
			return s.Replace([]any{slimSlice(half(0, 1)), slimSlice(half(1, 4))}, "8")
		}},
		{"another Service's", false, func(s endpoints) error {
			return s.Update(aSlice(func(s *discoveryv1.EndpointSlice) { s.Labels[discoveryv1.LabelServiceName] = "other" }))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(_ *testing.T, b *bubble) {
				store := endpointStore(b.loop)
				b.steady()
				b.g.Expect(store.Replace([]any{slimSlice(aSlice())}, "7")).To(Succeed())
				before := b.dialled(one)
				for b.dialled(one) == before {
					b.wait(time.Millisecond)
				}
				b.wait(2 * time.Second)
				before = b.dialled(one)
				b.g.Expect(tc.does(store)).To(Succeed())
				b.wait(endpointDelay - time.Millisecond)
				b.g.Expect(b.dialled(one)).To(Equal(before), "kube-proxy needs a moment")
				b.wait(500*time.Millisecond - endpointDelay)
				b.g.Expect(b.dialled(one) > before).To(Equal(tc.probes))
				b.wait(20 * time.Second)
				for _, w := range b.reports() {
					b.g.Expect(w.status).To(Satisfy(clean))
				}
			})
		})
	}
}

// TestEndpointsChangeAllTheTime: that costs a probe per second, and the last
// change is not missed.
func TestEndpointsChangeAllTheTime(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		store := endpointStore(b.loop)
		b.steady()
		before := b.dialled(one)
		for port := range int32(100) {
			b.g.Expect(store.Update(aSlice(func(s *discoveryv1.EndpointSlice) { s.Ports[0].Port = new(1000 + port) }))).To(Succeed())
			b.wait(100 * time.Millisecond)
		}
		last := time.Now()
		b.wait(2 * time.Second)
		b.g.Expect(b.dialled(one) - before).To(BeNumerically("~", 12, 3))
		b.g.Expect(b.lastDial(one)).To(BeTemporally(">=", last.Add(endpointDelay-100*time.Millisecond)))
	})
}

// TestLateEndpointsChange: one that comes right before the probe for another is
// given its own.
func TestLateEndpointsChange(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		store := endpointStore(b.loop)
		b.steady()
		before := b.dialled(one)
		for b.dialled(one) == before {
			b.wait(time.Millisecond)
		}
		b.g.Expect(store.Update(aSlice())).To(Succeed())
		b.wait(endpointDelay - 50*time.Millisecond)
		b.g.Expect(store.Delete(aSlice())).To(Succeed())
		last := time.Now()
		b.wait(2 * time.Second)
		b.g.Expect(b.lastDial(one)).To(BeTemporally(">=", last.Add(endpointDelay)))
	})
}

// TestEndpointsMendAFailure: a pair that has been failing for long is probed as
// often as one that just failed, and is seen to recover as soon.
func TestEndpointsMendAFailure(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		store := endpointStore(b.loop)
		b.steady()
		b.make(one, behaviour{result: refused()})
		b.wait(3 * time.Minute)
		for range 10 {
			b.g.Expect(store.Update(aSlice())).To(Succeed())
			b.wait(2 * time.Second)
			b.make(one, behaviour{})
			b.g.Expect(b.until(clean)).To(BeNumerically("<=", 1200*time.Millisecond))
			b.make(one, behaviour{result: refused()})
			b.g.Expect(store.Delete(aSlice())).To(Succeed())
			b.g.Expect(b.until(fails)).To(BeNumerically("<=", 1600*time.Millisecond))
			b.wait(3 * time.Minute)
		}
	})
}
