package agent

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestEndpointsSurviveTransformer(t *testing.T) {
	g := NewWithT(t)
	want, _ := service.EndpointsOf(gen.DialledSlice())
	got, err := endpointStore(nil).Transformer()(gen.DialledSlice())
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
		{"another set", true, func(s endpoints) error { return s.Update(gen.DialledSlice(ready)) }},
		{"none", true, func(s endpoints) error { return s.Delete(gen.DialledSlice()) }},
		{"another set, after an outage", true, func(s endpoints) error { return s.Replace([]any{slimSlice(gen.DialledSlice(ready))}, "8") }},
		{"the same", false, func(s endpoints) error { return s.Update(gen.DialledSlice()) }},
		{"the same, after an outage", false, func(s endpoints) error { return s.Replace([]any{slimSlice(gen.DialledSlice())}, "8") }},
		{"shared by two slices", false, func(s endpoints) error {
			half := func(from, to int) *discoveryv1.EndpointSlice {
				return gen.DialledSlice(func(s *discoveryv1.EndpointSlice) {
					s.Name += string(rune('a' + from))
					s.Endpoints = s.Endpoints[from:to]
				})
			}
			return s.Replace([]any{slimSlice(half(0, 1)), slimSlice(half(1, 4))}, "8")
		}},
		{"another Service's", false, func(s endpoints) error {
			return s.Update(gen.DialledSlice(func(s *discoveryv1.EndpointSlice) { s.Labels[discoveryv1.LabelServiceName] = "other" }))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(_ *testing.T, b *bubble) {
				store := endpointStore(b.loop)
				b.steady()
				b.g.Expect(store.Replace([]any{slimSlice(gen.DialledSlice())}, "7")).To(Succeed())
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
			b.g.Expect(store.Update(gen.DialledSlice(func(s *discoveryv1.EndpointSlice) { s.Ports[0].Port = new(1000 + port) }))).To(Succeed())
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
		b.g.Expect(store.Update(gen.DialledSlice())).To(Succeed())
		b.wait(endpointDelay - 50*time.Millisecond)
		b.g.Expect(store.Delete(gen.DialledSlice())).To(Succeed())
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
			b.g.Expect(store.Update(gen.DialledSlice())).To(Succeed())
			b.wait(2 * time.Second)
			b.make(one, behaviour{})
			b.g.Expect(b.until(clean)).To(BeNumerically("<=", 1200*time.Millisecond))
			b.make(one, behaviour{result: refused()})
			b.g.Expect(store.Delete(gen.DialledSlice())).To(Succeed())
			b.g.Expect(b.until(fails)).To(BeNumerically("<=", 1600*time.Millisecond))
			b.wait(3 * time.Minute)
		}
	})
}
