package exposedapp

import (
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/appstatus"
)

const (
	// eventsPerSecond bounds the Events on all apps, beyond eventBurst. A kubelet has
	// such a bound as well: a change that concerns every app is in the statuses, and
	// is not worth several more writes for each. Those of type Normal leave warningBurst for
	// Warnings.
	eventsPerSecond = 10
	eventBurst      = 400
	warningBurst    = 200
)

// recordTransitions records an Event for each change from one status to the next.
func recordTransitions(
	recorder events.EventRecorder, limit *rate.Limiter, app *v1alpha1.ExposedApp, next *v1alpha1.ExposedAppStatus, now time.Time,
) {
	for _, t := range appstatus.Transitions(&app.Status, next) {
		if !allowed(limit, t.Kind, now) {
			continue
		}
		var related runtime.Object
		if t.Node != "" {
			related = &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: t.Node}
		}
		recorder.Eventf(app, related, t.Kind, t.Reason, t.Action, "%s", t.Note)
	}
}

// allowed reports whether an Event of a type may be recorded now, and counts it.
func allowed(limit *rate.Limiter, kind string, now time.Time) bool {
	if kind == corev1.EventTypeNormal && limit.TokensAt(now) <= warningBurst {
		return false
	}
	return limit.AllowN(now, 1)
}
