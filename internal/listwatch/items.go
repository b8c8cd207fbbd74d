package listwatch

import (
	"bytes"
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Client asks the API server for the objects of some kinds as they are written: what a
// schema admits is not all that Go decodes, and a client that decodes a list as a whole
// fails on all of it for one object.
type Client struct{ rest rest.Interface }

// NewClient returns a client of the kinds of a group and version.
func NewClient(config *rest.Config, version schema.GroupVersion, kinds ...string) (*Client, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, version)
	for _, kind := range kinds {
		scheme.AddKnownTypeWithName(version.WithKind(kind), &item{})
		scheme.AddKnownTypeWithName(version.WithKind(kind+"List"), &itemList{})
	}
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &version, "/apis"
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("build the client of %s: %w", version, err)
	}
	return &Client{rest: client}, nil
}

// Items lists and watches a resource in all namespaces. decode makes an object of each
// item, whatever is in it; all are of the same Go type.
func (c *Client) Items(resource string, decode func(body []byte) runtime.Object) *cache.ListWatch {
	request := func(options *metav1.ListOptions) *rest.Request {
		return c.rest.Get().Resource(resource).VersionedParams(options, metav1.ParameterCodec)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			var page itemList
			if err := request(&options).Do(ctx).Into(&page); err != nil {
				return nil, err
			}
			return page.decoded(decode), nil
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			events, err := request(&options).Watch(ctx)
			if err != nil {
				return nil, err
			}
			return watch.Filter(events, func(event watch.Event) (watch.Event, bool) {
				if read, ok := event.Object.(*item); ok {
					event.Object = decode(read.body)
				}
				return event, true
			}), nil
		},
	}
}

// item is an object as it is written.
type item struct {
	metav1.TypeMeta
	body []byte
}

// UnmarshalJSON keeps what is written.
func (i *item) UnmarshalJSON(body []byte) error {
	i.body = bytes.Clone(body)
	return nil
}

// DeepCopyObject implements runtime.Object.
func (i *item) DeepCopyObject() runtime.Object {
	return &item{TypeMeta: i.TypeMeta, body: bytes.Clone(i.body)}
}

// itemList is a page of a list.
type itemList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []item `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (l *itemList) DeepCopyObject() runtime.Object {
	list := &itemList{TypeMeta: l.TypeMeta, ListMeta: *l.DeepCopy()}
	for i := range l.Items {
		list.Items = append(list.Items, *l.Items[i].DeepCopyObject().(*item))
	}
	return list
}

func (l *itemList) decoded(decode func([]byte) runtime.Object) *objectList {
	list := &objectList{ListMeta: l.ListMeta, Items: make([]runtime.Object, 0, len(l.Items))}
	for i := range l.Items {
		list.Items = append(list.Items, decode(l.Items[i].body))
		l.Items[i].body = nil
	}
	return list
}

// objectList is a page of objects.
type objectList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []runtime.Object
}

// DeepCopyObject implements runtime.Object.
func (l *objectList) DeepCopyObject() runtime.Object {
	list := &objectList{TypeMeta: l.TypeMeta, ListMeta: *l.DeepCopy()}
	for _, object := range l.Items {
		list.Items = append(list.Items, object.DeepCopyObject())
	}
	return list
}
