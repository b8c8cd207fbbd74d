package exposedapp

import (
	"context"
	"maps"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// reconnectPause is the shortest time between two tries to reach an API server
// that is not there. The longest is twice that.
const reconnectPause = time.Second

// newInformer makes an informer that is back a second or two after the API
// server is. Left to itself it would wait ever longer, up to a minute, and keep
// the operator blind meanwhile. It has no index by namespace: nothing is listed by that.
func newInformer(
	source toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers,
	lost, found func(),
) toolscache.SharedIndexInformer {
	indexers = maps.Clone(indexers)
	delete(indexers, toolscache.NamespaceIndex)
	under := toolscache.ToListerWatcherWithContext(source)
	return toolscache.NewSharedIndexInformer(&toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return untilThere(ctx, lost, found, func() (runtime.Object, error) {
				return under.ListWithContext(ctx, options)
			})
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return untilThere(ctx, lost, found, func() (watch.Interface, error) {
				return under.WatchWithContext(ctx, options)
			})
		},
	}, example, resync, indexers)
}

// untilThere repeats a call until the API server answers it. It tells of the
// first failure and of the end of it.
func untilThere[T any](ctx context.Context, lost, found func(), call func() (T, error)) (T, error) {
	for first := true; ; first = false {
		result, err := call()
		if !isAway(err) {
			if !first {
				found()
			}
			return result, err
		}
		if first {
			lost()
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(wait.Jitter(reconnectPause, 1)):
		}
	}
}

// isAway tells whether an error is of an API server that is not there, or not
// ready.
func isAway(err error) bool {
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		utilnet.IsTimeout(err) || utilnet.IsHTTP2ConnectionLost(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err)
}
