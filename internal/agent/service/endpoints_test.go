package service

import (
	"testing"

	. "github.com/onsi/gomega"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/exposedapp/exposedapp/test/gen"
)

func TestEndpointsOf(t *testing.T) {
	g := NewWithT(t)
	e, ok := EndpointsOf(gen.DialledSlice())
	g.Expect(ok).To(BeTrue())
	g.Expect(e.Service.String()).To(Equal("/30000"))
	g.Expect(e.Ready.String()).To(Equal("10.244.0.5:9898"), "the first that is ready, not only serving")

	for name, change := range map[string]func(*discoveryv1.EndpointSlice){
		"host names": func(s *discoveryv1.EndpointSlice) { s.AddressType = discoveryv1.AddressTypeFQDN },
		"no Service": func(s *discoveryv1.EndpointSlice) { s.Labels = nil },
	} {
		_, ok := EndpointsOf(gen.DialledSlice(change))
		g.Expect(ok).To(BeFalse(), name)
	}
}

// TestEndpointSet: what makes another set of endpoints, and what does not.
func TestEndpointSet(t *testing.T) {
	for _, tc := range []struct {
		name   string
		same   bool
		change func(*discoveryv1.EndpointSlice)
	}{
		{"one more", false, func(s *discoveryv1.EndpointSlice) {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.244.0.8"}})
		}},
		{"one less", false, func(s *discoveryv1.EndpointSlice) { s.Endpoints = s.Endpoints[1:] }},
		{"one is ready", false, func(s *discoveryv1.EndpointSlice) { s.Endpoints[2].Conditions.Ready = new(true) }},
		{"one is not ready", false, func(s *discoveryv1.EndpointSlice) { s.Endpoints[1].Conditions.Ready = new(false) }},
		{"one is serving", false, func(s *discoveryv1.EndpointSlice) { s.Endpoints[3].Conditions.Serving = new(true) }},
		{"another port", false, func(s *discoveryv1.EndpointSlice) { s.Ports[0].Port = new(int32(80)) }},
		{"one of none to speak of", true, func(s *discoveryv1.EndpointSlice) { s.Endpoints = s.Endpoints[:3] }},
		{"another order", true, func(s *discoveryv1.EndpointSlice) {
			s.Endpoints[0], s.Endpoints[1] = s.Endpoints[1], s.Endpoints[0]
		}},
		{"another node name", true, func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].NodeName = new("b") }},
		{"resourceVersion", true, func(s *discoveryv1.EndpointSlice) { s.ResourceVersion = "7" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, _ := EndpointsOf(gen.DialledSlice())
			after, ok := EndpointsOf(gen.DialledSlice(tc.change))
			g := NewWithT(t)
			g.Expect(ok).To(BeTrue())
			if tc.same {
				g.Expect(after.Sum).To(Equal(before.Sum))
			} else {
				g.Expect(after.Sum).NotTo(Equal(before.Sum))
			}
		})
	}
}
