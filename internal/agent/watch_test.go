package agent

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// TestListPages: a list that is not streamed comes in small pages, one after the
// other, none of which is kept.
func TestListPages(t *testing.T) {
	g := NewWithT(t)
	var asked []metav1.ListOptions
	page := func(options metav1.ListOptions) (runtime.Object, error) {
		asked = append(asked, options)
		list := &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
		if len(asked) < 3 {
			list.Continue = fmt.Sprint("from ", len(asked))
		}
		svc := aService()
		svc.Name = fmt.Sprint(len(asked))
		list.Items = append(list.Items, *svc)
		return list, nil
	}
	list, err := listPages(page, slimService)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(asked).To(Equal([]metav1.ListOptions{
		{Limit: pageSize}, {Limit: pageSize, Continue: "from 1"}, {Limit: pageSize, Continue: "from 2"},
	}))
	of, err := meta.ListAccessor(list)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(of.GetResourceVersion()).To(Equal("7"))
	g.Expect(of.GetContinue()).To(BeEmpty(), "so that nobody asks for more")
	items, err := meta.ExtractList(list)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(items).To(HaveLen(3))
	for i, item := range items {
		g.Expect(item.(*slim[service]).form.key.Name).To(Equal(fmt.Sprint(i + 1)))
	}
}
