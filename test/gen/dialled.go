package gen

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// DialledService returns the Service of an app, as an agent that dials it finds it.
func DialledService(change ...func(*corev1.Service)) *corev1.Service {
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

// DialledSlice returns an EndpointSlice of a Service 30000 with four pods, of which one says
// nothing of itself, one is ready, one is ending and one is not ready.
func DialledSlice(change ...func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
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
