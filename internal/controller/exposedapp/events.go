package exposedapp

import (
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/appstatus"
)

const (
	// eventsPerSecond bounds the Events on all apps, beyond eventBurst. A kubelet has
	// such a bound as well: what concerns every app stands in the statuses, and is not
	// worth several writes more for each. Those of type Normal leave warningBurst for
	// Warnings.
	eventsPerSecond = 10
	eventBurst      = 400
	warningBurst    = 200
)

// recordTransitions records what changed from one status to the next.
func (r *Reconciler) recordTransitions(app *v1alpha1.ExposedApp, next *v1alpha1.ExposedAppStatus) {
	for _, t := range appstatus.Transitions(&app.Status, next) {
		if !allowed(r.events, t.Kind, r.Clock.Now()) {
			continue
		}
		var related runtime.Object
		if t.Node != "" {
			related = &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: t.Node}
		}
		r.Recorder.Eventf(app, related, t.Kind, t.Reason, t.Action, "%s", t.Note)
	}
}

// allowed takes an Event of a type from what may be told, if there is any left.
func allowed(events *rate.Limiter, kind string, now time.Time) bool {
	if kind == corev1.EventTypeNormal && events.TokensAt(now) <= warningBurst {
		return false
	}
	return events.AllowN(now, 1)
}
