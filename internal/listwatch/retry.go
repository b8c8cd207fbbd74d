package listwatch

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
)

// retryPause is the shortest time between two tries to reach an API server that is not
// there. The longest is twice that.
const retryPause = time.Second

// retryWhileUnavailable repeats a request until the API server answers it, and notes the
// outcome of each try.
func retryWhileUnavailable[T any](ctx context.Context, note func(error), request func() (T, error)) (T, error) {
	for {
		result, err := request()
		note(err)
		if !IsUnavailable(err) {
			return result, err
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(wait.Jitter(retryPause, 1)):
		}
	}
}

// IsUnavailable reports whether an error is of an API server that is not there, or not ready.
func IsUnavailable(err error) bool {
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		utilnet.IsTimeout(err) || utilnet.IsHTTP2ConnectionLost(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err)
}
