package exposedapp

import (
	"context"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// newInformer makes an informer that is back a second or two after the API
// server is. Left to itself it would wait ever longer, up to a minute, and keep
// the operator blind meanwhile. It has no index by namespace: nothing is listed by that.
func newInformer(
	source toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers,
	trim toolscache.TransformFunc, lost, found func(),
) toolscache.SharedIndexInformer {
	indexers = maps.Clone(indexers)
	delete(indexers, toolscache.NamespaceIndex)
	under := toolscache.ToListerWatcherWithContext(source)
	return toolscache.NewSharedIndexInformer(pages{&toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return untilThere(ctx, lost, found, func() (runtime.Object, error) {
				return listPage(ctx, under, options, trim)
			})
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return untilThere(ctx, lost, found, func() (watch.Interface, error) {
				return under.WatchWithContext(ctx, options)
			})
		},
	}}, example, resync, indexers)
}

// pages is a source that is listed page by page. The alternative, a stream of single
// objects, takes a quarter more of the operator's CPU at a start, and as much memory.
type pages struct{ *toolscache.ListWatch }

// IsWatchListSemanticsUnSupported keeps the reflector from that stream.
func (pages) IsWatchListSemanticsUnSupported() bool { return true }

// listPage lists a page and trims it, so that no more than a page is in memory as it came.
func listPage(
	ctx context.Context, source toolscache.ListerWithContext, options metav1.ListOptions, trim toolscache.TransformFunc,
) (runtime.Object, error) {
	if options.ResourceVersion == "0" {
		// From what the API server happens to have it answers whole, whatever the limit.
		options.ResourceVersion = ""
	}
	page, err := source.ListWithContext(ctx, options)
	if err != nil {
		return nil, err
	}
	return page, meta.EachListItem(page, func(item runtime.Object) error {
		_, err := trim(item)
		return err
	})
}
