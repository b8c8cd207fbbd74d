package exposedapp

import (
	"maps"
	"time"

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
	return toolscache.NewSharedIndexInformer(listwatch.Persistent(source, each, note), example, resync, indexers)
}
