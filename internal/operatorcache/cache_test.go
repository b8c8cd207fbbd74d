package operatorcache

import (
	"context"
	"fmt"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

// shelf is an API server with apps, of which each page holds one.
type shelf struct {
	apps []*v1alpha1.ExposedApp

	mu      sync.Mutex
	asked   []metav1.ListOptions
	pages   []*v1alpha1.ExposedAppList
	trimmed int
}

func (s *shelf) list(_ context.Context, options metav1.ListOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, options)
	if s.trimmed != len(s.pages) {
		return nil, fmt.Errorf("asked for another page when %d of %d were trimmed", s.trimmed, len(s.pages))
	}
	page := &v1alpha1.ExposedAppList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
	page.Items = append(page.Items, *s.apps[len(s.pages)].DeepCopy())
	if s.pages = append(s.pages, page); len(s.pages) < len(s.apps) {
		page.Continue = fmt.Sprint(len(s.pages))
	}
	return page, nil
}

func (s *shelf) source() *toolscache.ListWatch {
	return &toolscache.ListWatch{
		ListWithContextFunc: s.list,
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			return watch.NewFake(), nil
		},
	}
}

// trim takes the managed fields away.
func (s *shelf) trim(object any) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	app := object.(*v1alpha1.ExposedApp)
	if app.ManagedFields != nil {
		s.trimmed++
	}
	app.ManagedFields = nil
	return object, nil
}

// The API server is asked for pages of the newest, and each is trimmed before the next.
func TestInformerListsInPages(t *testing.T) {
	g := NewWithT(t)
	s := &shelf{apps: []*v1alpha1.ExposedApp{gen.ExposedApp("a"), gen.ExposedApp("b"), gen.ExposedApp("c")}}
	for _, app := range s.apps {
		app.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: v1alpha1.OperatorName}}
	}
	informer := newInformer(s.source(), &v1alpha1.ExposedApp{}, 0, toolscache.Indexers{
		toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc,
	}, s.trim, func(string, error) {})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); informer.RunWithContext(ctx) }()
	g.Expect(toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced)).To(BeTrue())
	cancel()
	<-done

	g.Expect(informer.GetStore().ListKeys()).To(ConsistOf("default/a", "default/b", "default/c"))
	g.Expect(informer.GetIndexer().GetIndexers()).To(BeEmpty())
	g.Expect(s.trimmed).To(Equal(3))
	g.Expect(s.asked).To(HaveLen(3))
	g.Expect(s.asked).To(HaveEach(And(HaveField("ResourceVersion", ""), HaveField("Limit", int64(50)))))
}
