package agent

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// NewClient returns a client for what an agent needs and no more. It asks the
// API server for no discovery: there is an agent on every node, and all may
// start at once.
func NewClient(config *rest.Config, version string) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = v1alpha1.AgentName + "/" + version
	config.QPS = -1

	scheme := runtime.NewScheme()
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Service"), meta.RESTScopeNamespace)
	mapper.Add(discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), meta.RESTScopeNamespace)
	mapper.Add(v1alpha1.SchemeGroupVersion.WithKind("NodeReachability"), meta.RESTScopeRoot)

	return client.NewWithWatch(config, client.Options{
		Scheme:     scheme,
		Mapper:     mapper,
		FieldOwner: v1alpha1.AgentName,
	})
}
