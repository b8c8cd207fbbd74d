package exposedapp

import (
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/exposedapp/exposedapp/internal/listwatch"
)

// newInformer makes an informer that trims each page of a list before it asks for the
// next. It has no index by namespace: nothing is listed by that.
func newInformer(
	source toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers,
	trim toolscache.TransformFunc, note listwatch.Note,
) toolscache.SharedIndexInformer {
	indexers = maps.Clone(indexers)
	delete(indexers, toolscache.NamespaceIndex)
	each := func(item runtime.Object) error {
		_, err := trim(item)
		return err
	}
	source = smallPages(source, pageOf(example))
	return toolscache.NewSharedIndexInformer(listwatch.Persistent(source, each, note), example, resync, indexers)
}

// pageOf returns how many objects of a kind are listed at a time. Each is whole before it
// is trimmed, and whoever may edit a namespace can make objects of most kinds so big that
// a few hundred of them fill the operator's memory.
func pageOf(example runtime.Object) int64 {
	if _, ok := example.(*corev1.Node); ok {
		return 500
	}
	return 50
}

// smallPages returns a source whose pages hold at most so many objects.
func smallPages(source toolscache.ListerWatcher, most int64) toolscache.ListerWatcher {
	under := toolscache.ToListerWatcherWithContext(source)
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.Limit = min(options.Limit, most)
			return under.ListWithContext(ctx, options)
		},
		WatchFuncWithContext: under.WatchWithContext,
	}
}
