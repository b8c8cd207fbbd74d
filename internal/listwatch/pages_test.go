package listwatch_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/exposedapp/exposedapp/internal/listwatch"
)

// threePages lists one Service a page and writes down how it was asked for them.
func threePages(asked *[]metav1.ListOptions) func(metav1.ListOptions) (runtime.Object, error) {
	return func(options metav1.ListOptions) (runtime.Object, error) {
		*asked = append(*asked, options)
		n := len(*asked)
		list := &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
		if n < 3 {
			list.Continue = fmt.Sprint("from ", n)
		}
		list.Items = []corev1.Service{{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(n), UID: "of the page"}}}
		return list, nil
	}
}

func TestPagesOneAfterTheOther(t *testing.T) {
	g := NewWithT(t)
	var asked []metav1.ListOptions
	var kept int
	list, err := listwatch.InPages(20, threePages(&asked), func(object runtime.Object) (runtime.Object, error) {
		g.Expect(asked).To(HaveLen(kept+1), "kept before the next page is asked for")
		kept++
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: object.(*corev1.Service).Name}}, nil
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(asked).To(Equal([]metav1.ListOptions{
		{Limit: 20}, {Limit: 20, Continue: "from 1"}, {Limit: 20, Continue: "from 2"},
	}))
	of, err := meta.ListAccessor(list)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(of.GetResourceVersion()).To(Equal("7"))
	g.Expect(of.GetContinue()).To(BeEmpty(), "so that nobody asks for more")
	items, err := meta.ExtractList(list)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(items).To(HaveExactElements(
		And(HaveField("Name", "1"), HaveField("UID", BeEmpty())), HaveField("Name", "2"), HaveField("Name", "3")))
}

func TestPagesEndWithAnError(t *testing.T) {
	g := NewWithT(t)
	var asked []metav1.ListOptions
	_, err := listwatch.InPages(20, threePages(&asked), func(runtime.Object) (runtime.Object, error) {
		return nil, errors.New("odd")
	})
	g.Expect(err).To(MatchError(ContainSubstring("odd")))
	g.Expect(asked).To(HaveLen(1))
}

// Who lists again after a broken watch asks for all of a state that is not older than
// the last; a list of all at once would fill the memory.
func TestListAgainInPages(t *testing.T) {
	g := NewWithT(t)
	var asked []metav1.ListOptions
	page := threePages(&asked)
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(_ context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return page(options)
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil },
	}
	persistent := listwatch.Persistent(source, 20, asItIs, func(string, error) {})
	list, err := toolscache.ToListerWithContext(persistent).ListWithContext(t.Context(), metav1.ListOptions{ResourceVersion: "6"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(meta.LenList(list)).To(Equal(3))
	g.Expect(asked).To(HaveEach(And(HaveField("Limit", BeEquivalentTo(20)), HaveField("ResourceVersion", ""))))
}
