package operatorcache

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	keep := func(object runtime.Object) (runtime.Object, error) {
		_, err := trim(object)
		return object, err
	}
	source = listwatch.Persistent(source, pageOf(example), keep, note)
	return toolscache.NewSharedIndexInformer(source, example, resync, indexers)
}

// pageOf returns how many objects of a kind are listed at a time. Nodes are not made by
// whoever may edit a namespace.
func pageOf(example runtime.Object) int64 {
	if _, ok := example.(*corev1.Node); ok {
		return 500
	}
	return listwatch.SmallPage
}
