package agent

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/statuspatch"
)

// Client talks to the API server about what an agent needs and no more. It asks
// for no discovery: there is an agent on every node, and all may start at once.
// It is made of client-go's REST client, since one of controller-runtime would
// bring every type of Kubernetes along, half of the program and of its memory.
type Client struct {
	services, endpointSlices, nodeReachabilities resource
}

// resource is where to ask for the objects of a kind.
type resource struct {
	rest.Interface
	name       string
	parameters runtime.ParameterCodec
	newList    func() runtime.Object
}

// NewClient returns a client of the API server that config names. The agent's
// version is for the user agent.
func NewClient(config *rest.Config, version string) (*Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	config = rest.CopyConfig(config)
	config.UserAgent = v1alpha1.AgentName + "/" + version
	config.QPS = -1
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	connection, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("building the HTTP client: %w", err)
	}
	var c Client
	for _, kind := range []struct {
		resource             *resource
		version              schema.GroupVersion
		apiPath, contentType string
		name                 string
		newList              func() runtime.Object
	}{
		{&c.services, corev1.SchemeGroupVersion, "/api", runtime.ContentTypeProtobuf,
			"services", func() runtime.Object { return new(corev1.ServiceList) }},
		{&c.endpointSlices, discoveryv1.SchemeGroupVersion, "/apis", runtime.ContentTypeProtobuf,
			"endpointslices", func() runtime.Object { return new(discoveryv1.EndpointSliceList) }},
		{&c.nodeReachabilities, v1alpha1.SchemeGroupVersion, "/apis", runtime.ContentTypeJSON,
			"nodereachabilities", func() runtime.Object { return new(v1alpha1.NodeReachabilityList) }},
	} {
		of := rest.CopyConfig(config)
		of.GroupVersion, of.APIPath = &kind.version, kind.apiPath
		of.ContentType, of.AcceptContentTypes = kind.contentType, kind.contentType
		client, err := rest.RESTClientForConfigAndClient(of, connection)
		if err != nil {
			return nil, fmt.Errorf("building the client of %s: %w", kind.name, err)
		}
		*kind.resource = resource{client, kind.name, runtime.NewParameterCodec(scheme), kind.newList}
	}
	return &c, nil
}

// ReplaceStatus writes the status of the NodeReachability of a node, if it still is the
// object with that UID.
func (c *Client) ReplaceStatus(
	ctx context.Context, node string, uid types.UID, status v1alpha1.NodeReachabilityStatus,
) error {
	patch, err := statuspatch.Of(uid, status)
	if err != nil {
		return err
	}
	return c.nodeReachabilities.Patch(types.JSONPatchType).
		Resource(c.nodeReachabilities.name).Name(node).SubResource("status").
		VersionedParams(&metav1.PatchOptions{FieldManager: v1alpha1.AgentName}, c.nodeReachabilities.parameters).
		Body(patch).Do(ctx).Error()
}
