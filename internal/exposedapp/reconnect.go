package exposedapp

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
)

// reconnectPause is the shortest time between two tries to reach an API server
// that is not there. The longest is twice that.
const reconnectPause = time.Second

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
