package agent

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/probe"
)

func TestServiceSurvivesTransformer(t *testing.T) {
	g := NewWithT(t)
	want, _ := service.Of(aService())
	got, err := serviceStore(nil).Transformer()(aService())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got.(*slim[service.Service]).kept).To(BeTrue())
	g.Expect(got.(*slim[service.Service]).form).To(Equal(want))
}

// TestForeignServicesCostTheirNames: what others write on their Services is not kept,
// not even while a list is gathered.
func TestForeignServicesCostTheirNames(t *testing.T) {
	g := NewWithT(t)
	got, err := serviceStore(nil).Transformer()(aService(func(svc *corev1.Service) { svc.OwnerReferences = nil }))
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

func aService(change ...func(*corev1.Service)) *corev1.Service {
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop",
			Name:      "web",
			UID:       "1",
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "exposedapp.dev/v1alpha1", Kind: "ExposedApp", Name: "web", Controller: new(true),
			}},
			Annotations: map[string]string{
				v1alpha1.ProbeAnnotation: `{"path":"/healthz","periodSeconds":7,"timeoutSeconds":3,"failureThreshold":4}`,
			},
		},
		Spec: corev1.ServiceSpec{
			Type:       corev1.ServiceTypeNodePort,
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Selector:   map[string]string{"exposedapp.dev/name": "web"},
			Ports:      []corev1.ServicePort{{Name: "http", NodePort: 31000, TargetPort: intstr.FromString("http")}},
		},
	}
	for _, c := range change {
		c(svc)
	}
	return svc
}
