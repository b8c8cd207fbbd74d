package listwatch_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/exposedapp/exposedapp/internal/listwatch"
)

const prefix = `{"kind": "Shelf", "apiVersion": "example.com/v1", "metadata": `

// decode makes an object with the text of the JSON as its one annotation, and a name
// where that can be read.
func decode(body []byte) runtime.Object {
	object := &metav1.PartialObjectMetadata{}
	if json.Unmarshal(body, object) != nil {
		object = &metav1.PartialObjectMetadata{}
	}
	object.Annotations = map[string]string{"body": string(body)}
	return object
}

// items lists and watches what a server answers with.
func items(t *testing.T, list string, events ...string) *toolscache.ListWatch {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		answer.Header().Set("Content-Type", "application/json")
		if request.URL.Query().Get("watch") == "" {
			_, _ = answer.Write([]byte(list))
			return
		}
		for _, event := range events {
			_, _ = answer.Write([]byte(event + "\n"))
		}
	}))
	t.Cleanup(server.Close)
	client, err := listwatch.NewClient(&rest.Config{Host: server.URL},
		schema.GroupVersion{Group: "example.com", Version: "v1"}, "Shelf")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return client.Items("shelves", decode)
}

func TestItemsAreDecodedOneByOne(t *testing.T) {
	g := NewWithT(t)
	source := items(t,
		`{"kind": "ShelfList", "apiVersion": "example.com/v1", "metadata": {"resourceVersion": "7", "continue": "x"}, "items": [`+
			prefix+`{"name": "a"}}, `+prefix+`{"name": 1}, "spec": 2}, `+prefix+`{"name": "c"}}]}`,
		`{"type": "ADDED", "object": `+prefix+`{"name": "d"}}}`,
		`{"type": "MODIFIED", "object": `+prefix+`["odd"]}}`,
		`{"type": "BOOKMARK", "object": `+prefix+`{"resourceVersion": "9"}}}`,
		`{"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "code": 410}}`)

	page, err := source.ListWithContext(t.Context(), metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(page).To(And(HaveField("ResourceVersion", "7"), HaveField("Continue", "x")))
	g.Expect(page).To(HaveField("Items", HaveExactElements(
		HaveField("Name", "a"), HaveField("Annotations", HaveKeyWithValue("body", ContainSubstring(`"spec": 2`))),
		HaveField("Name", "c"))))

	events, err := source.WatchWithContext(t.Context(), metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	var seen []watch.Event
	for event := range events.ResultChan() {
		seen = append(seen, event)
	}
	g.Expect(seen).To(HaveExactElements(
		And(HaveField("Type", watch.Added), HaveField("Object.Name", "d")),
		And(HaveField("Type", watch.Modified), HaveField("Object.Annotations", HaveKeyWithValue("body", ContainSubstring("odd")))),
		And(HaveField("Type", watch.Bookmark), HaveField("Object.ResourceVersion", "9")),
		And(HaveField("Type", watch.Error), HaveField("Object.Code", BeNumerically("==", 410)))))
}

// An object that cannot be decoded as the others does not keep a reflector from them.
func TestReflectorFollowsItems(t *testing.T) {
	g := NewWithT(t)
	source := items(t, `{"kind": "ShelfList", "apiVersion": "example.com/v1", "metadata": {"resourceVersion": "7"}, "items": [`+
		prefix+`{"name": "a"}}, `+prefix+`["odd"]}]}`)
	store := toolscache.NewStore(func(object any) (string, error) {
		return object.(*metav1.PartialObjectMetadata).Annotations["body"], nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		persistent := listwatch.Persistent(source, listwatch.SmallPage, asItIs, func(string, error) {})
		toolscache.NewReflectorWithOptions(persistent, &metav1.PartialObjectMetadata{}, store,
			toolscache.ReflectorOptions{}).RunWithContext(ctx)
	}()
	g.Eventually(store.ListKeys).WithTimeout(10 * time.Second).Should(HaveLen(2))
	cancel()
	<-done
}

func asItIs(object runtime.Object) (runtime.Object, error) { return object, nil }
