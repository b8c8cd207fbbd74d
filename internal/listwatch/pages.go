package listwatch

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// SmallPage is how many objects are listed at a time where whoever may edit a namespace
// makes them: an object may take a megabyte and a half.
const SmallPage = 50

// InPages lists the newest state, size objects at a time, and returns all of it. keep
// makes what is kept of an object, before the next page is asked for. The options are
// its own: who lists again after a broken watch asks for all at once, and the state that
// the API server happens to have knows no pages.
func InPages(
	size int64, list func(metav1.ListOptions) (runtime.Object, error), keep func(runtime.Object) (runtime.Object, error),
) (runtime.Object, error) {
	var all metainternalversion.List
	options := metav1.ListOptions{Limit: size}
	for {
		page, err := list(options)
		if err != nil {
			return nil, err
		}
		err = meta.EachListItemWithAlloc(page, func(object runtime.Object) error {
			kept, err := keep(object)
			all.Items = append(all.Items, kept)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading a page of a list: %w", err)
		}
		of, err := meta.ListAccessor(page)
		if err != nil {
			return nil, fmt.Errorf("reading a page of a list: %w", err)
		}
		all.ResourceVersion = of.GetResourceVersion()
		if options.Continue = of.GetContinue(); options.Continue == "" {
			return &all, nil
		}
	}
}
