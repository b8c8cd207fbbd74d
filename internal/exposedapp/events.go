package exposedapp

import (
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
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
	for _, t := range transitions(&app.Status, next) {
		if !tellable(r.events, t.kind, r.Clock.Now()) {
			continue
		}
		var related runtime.Object
		if t.node != "" {
			related = &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: t.node}
		}
		r.Recorder.Eventf(app, related, t.kind, t.reason, t.action, "%s", t.note)
	}
}

// tellable takes an Event of a type from what may be told, if there is any left.
func tellable(events *rate.Limiter, kind string, now time.Time) bool {
	if kind == corev1.EventTypeNormal && events.TokensAt(now) <= warningBurst {
		return false
	}
	return events.AllowN(now, 1)
}
