package agent

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestServiceSurvivesTransformer(t *testing.T) {
	g := NewWithT(t)
	want, _ := service.Of(gen.DialledService())
	got, err := serviceStore(nil).Transformer()(gen.DialledService())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got.(*slim[service.Service]).kept).To(BeTrue())
	g.Expect(got.(*slim[service.Service]).form).To(Equal(want))
}

// TestForeignServicesCostTheirNames: what others write on their Services is not kept,
// not even while a list is gathered.
func TestForeignServicesCostTheirNames(t *testing.T) {
	g := NewWithT(t)
	got, err := serviceStore(nil).Transformer()(gen.DialledService(func(svc *corev1.Service) { svc.OwnerReferences = nil }))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(&slim[service.Service]{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}))
}

// TestReasons: what package probe calls a failure is what the API calls it.
func TestReasons(t *testing.T) {
	for reason, want := range map[probe.Reason]string{
		probe.ConnectionRefused: v1alpha1.ReasonConnectionRefused,
		probe.ConnectionReset:   v1alpha1.ReasonConnectionReset,
		probe.Timeout:           v1alpha1.ReasonTimeout,
		probe.NoRoute:           v1alpha1.ReasonNoRoute,
		probe.HTTPStatus:        v1alpha1.ReasonHTTPStatus,
		probe.ProtocolError:     v1alpha1.ReasonProtocolError,
	} {
		NewWithT(t).Expect(string(reason)).To(Equal(want))
	}
}
