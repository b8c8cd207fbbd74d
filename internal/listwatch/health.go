package listwatch

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// unreadyAfter is how long a resource may fail to be listed or watched until the operator
// is not ready.
const unreadyAfter = 30 * time.Second

// Health knows which resources fail to be listed or watched, and since when. It is safe
// for concurrent use.
type Health struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	failing map[request]failure
}

// request is a verb and a resource, such as to watch services.
type request struct{ verb, resource string }

type failure struct {
	since time.Time
	err   error
}

// NewHealth returns a Health of resources none of which was asked for yet.
func NewHealth(now clock.PassiveClock) *Health {
	return &Health{clock: now, failing: make(map[request]failure)}
}

// Note returns what takes note of the outcomes of the requests for a resource.
func (h *Health) Note(resource string) Note {
	return func(verb string, err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		key := request{verb, resource}
		now := failure{err: err}
		switch before := h.failing[key]; {
		case err == nil:
		case before.err == nil:
			now.since = h.clock.Now()
		default:
			now.since = before.since
		}
		h.failing[key] = now
	}
}

// FailingFor returns for how long each resource has failed to be listed or watched, 0
// where it does not.
func (h *Health) FailingFor() map[string]time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock.Now()
	failing := make(map[string]time.Duration, len(h.failing))
	for request, failure := range h.failing {
		since := now
		if failure.err != nil {
			since = failure.since
		}
		failing[request.resource] = max(failing[request.resource], now.Sub(since))
	}
	return failing
}

// Check is a healthz.Checker: it fails while a resource has failed for longer than 30
// seconds, and names it. Without watches the status cannot be true.
func (h *Health) Check(*http.Request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock.Now()
	var blind []string
	for request, failure := range h.failing {
		if failure.err != nil && now.Sub(failure.since) > unreadyAfter {
			blind = append(blind, fmt.Sprintf("%s %s: %v", request.verb, request.resource, failure.err))
		}
	}
	if len(blind) == 0 {
		return nil
	}
	slices.Sort(blind)
	return errors.New("failing for long to " + strings.Join(blind, "; "))
}
