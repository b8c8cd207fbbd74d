// Package listwatch lists and watches as the operator has to: page by page, so that no
// more than a page is in memory as it came; again a second or two after the API server
// is back; and, where asked to, object by object, so that one that cannot be decoded
// concerns nobody else.
package listwatch

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Persistent returns a source that lists in pages of size, and tries again soon while
// the API server is away. keep makes what is kept of each object of a page; note is
// called with the outcome of every request, a "list" or "watch": nil for one that was
// answered. Left to itself a reflector would wait ever longer, up to a minute, and keep
// the operator blind.
func Persistent(
	source cache.ListerWatcher, size int64, keep func(runtime.Object) (runtime.Object, error), note Note,
) cache.ListerWatcher {
	under := cache.ToListerWatcherWithContext(source)
	return pages{&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			return InPages(size, func(options metav1.ListOptions) (runtime.Object, error) {
				return retryWhileUnavailable(ctx, note.of("list"), func() (runtime.Object, error) {
					return under.ListWithContext(ctx, options)
				})
			}, keep)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return retryWhileUnavailable(ctx, note.of("watch"), func() (watch.Interface, error) {
				return under.WatchWithContext(ctx, options)
			})
		},
	}}
}

// Note takes note of the outcome of a request.
type Note func(verb string, err error)

func (n Note) of(verb string) func(error) { return func(err error) { n(verb, err) } }

// pages is a source that is listed page by page. The alternative, a stream of single
// objects, takes a quarter more of the operator's CPU at a start, and as much memory.
type pages struct{ *cache.ListWatch }

// IsWatchListSemanticsUnSupported keeps the reflector from that stream.
func (pages) IsWatchListSemanticsUnSupported() bool { return true }
