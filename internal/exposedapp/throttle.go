package exposedapp

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

const (
	// statusesPerSecond bounds what a change that concerns every app, such as a
	// node that dies, costs the API server, beyond statusBurst.
	statusesPerSecond = 50
	statusBurst       = 500

	// verdictPause is the least time between two changes of the verdicts in one
	// status, beyond verdictBurst: a port that goes to and fro every second is
	// told of every few seconds.
	verdictPause = 6 * time.Second
	verdictBurst = 8
)

// throttle holds back writes of statuses that follow what is found, not what is
// declared. It never drops one: when its turn has come, an app is observed anew.
type throttle struct {
	mu   sync.Mutex
	all  *rate.Limiter
	apps map[types.NamespacedName]*turn
}

// turn is when an app may write its status, zero if it does not wait.
type turn struct {
	verdicts *rate.Limiter
	at       time.Time
}

func newThrottle() *throttle {
	return &throttle{
		all:  rate.NewLimiter(statusesPerSecond, statusBurst),
		apps: make(map[types.NamespacedName]*turn),
	}
}

// wait returns how long the next status of an app has to wait, 0 for not at all.
func (t *throttle) wait(
	key types.NamespacedName, before, next *v1alpha1.ExposedAppStatus, now time.Time,
) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	app := t.apps[key]
	if app == nil {
		app = &turn{verdicts: rate.NewLimiter(rate.Every(verdictPause), verdictBurst)}
		t.apps[key] = app
	}
	if urgent(before, next) {
		app.at = time.Time{}
		return 0
	}
	if app.at.IsZero() {
		app.at = now.Add(t.all.ReserveN(now, 1).DelayFrom(now))
		if before.Replicas == next.Replicas && before.ReadyReplicas == next.ReadyReplicas {
			if own := now.Add(app.verdicts.ReserveN(now, 1).DelayFrom(now)); own.After(app.at) {
				app.at = own
			}
		}
	}
	if left := app.at.Sub(now); left > 0 {
		return left
	}
	app.at = time.Time{}
	return 0
}

func (t *throttle) forget(key types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.apps, key)
}

// urgent tells whether a status follows what is declared, or whether the app
// still waits for its first verdict.
func urgent(before, next *v1alpha1.ExposedAppStatus) bool {
	if before.ObservedGeneration != next.ObservedGeneration || before.NodePort != next.NodePort {
		return true
	}
	for _, kind := range []string{v1alpha1.ConditionPortAllocated, v1alpha1.ConditionStalled} {
		if !equality.Semantic.DeepEqual(
			meta.FindStatusCondition(before.Conditions, kind), meta.FindStatusCondition(next.Conditions, kind)) {
			return true
		}
	}
	reachable := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReachable)
	return reachable == nil || reachable.Status == metav1.ConditionUnknown
}
