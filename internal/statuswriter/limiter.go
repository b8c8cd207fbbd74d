// Package statuswriter decides when the status of an ExposedApp is written, and writes it. It
// damps statuses that go to and fro and keeps all writes within limits; what gets worse does
// not wait.
package statuswriter

import (
	"slices"
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
	statusesPerSecond = 75
	statusBurst       = 300

	// messagesPerSecond bounds those that change nothing but messages, beyond wordsBurst.
	// They have their own bound, because the words on a node that dies change with each
	// of its observers, and nothing else is to wait for them.
	messagesPerSecond = 20
	messageBurst      = 100

	// An app of which fewer nodes answer is told of at once. If it recovered more than
	// flaps times within flapWindow, it flaps, until it gets no worse for as long: a
	// condition that becomes True has to stay so for steadyTime before that is told, and
	// what makes none True, and ends that of none, is told every flapPause. It recovers
	// where more nodes answer again after it got worse, and within flapGather once.
	flaps      = 3
	flapWindow = 30 * time.Second
	flapGather = 3 * time.Second
	steadyTime = 5 * time.Second
	flapPause  = 10 * time.Second

	// rewordPause is the least time between two changes of a status by which as
	// many nodes answer as before, beyond rewordBurst. Changes of messages alone
	// leave reasonBurst of these for changes of reasons.
	rewordPause = 6 * time.Second
	rewordBurst = 6
	reasonBurst = 3
)

// limiter holds back writes of statuses that follow what is found, not what is
// declared. It never drops one: when its turn has come, an app is observed anew.
type limiter struct {
	mu       sync.Mutex
	all      *rate.Limiter
	messages *rate.Limiter
	apps     map[types.NamespacedName]*appLimiter
}

// appLimiter is when an app may write its status. Times are zero where there is none.
type appLimiter struct {
	// rewording is nil until there is something to reword.
	rewording *rate.Limiter
	// due is the app's turn among all, while a status waits, and words whether that is
	// among those that change nothing else.
	due         time.Time
	messageOnly bool
	// balance is how many nodes were last found to answer, fell whether these became
	// fewer since the last recovery, recoveries are those in the last flapWindow, and
	// worse is when nodes last became fewer, of an app that flaps.
	balance    int32
	fell       bool
	recoveries []time.Time
	worse      time.Time
	// trueSince is since when a condition would be True that is not in the status, and
	// written when that was last written.
	trueSince, written time.Time
}

func newLimiter() *limiter {
	return &limiter{
		all:      rate.NewLimiter(statusesPerSecond, statusBurst),
		messages: rate.NewLimiter(messagesPerSecond, messageBurst),
		apps:     make(map[types.NamespacedName]*appLimiter),
	}
}

// wait returns how long the next status of an app has to wait, 0 for not at all.
// It is told of every status, also of those that differ in nothing.
func (t *limiter) wait(
	key types.NamespacedName, before, next *v1alpha1.ExposedAppStatus, now time.Time,
) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	app := t.apps[key]
	if app == nil {
		app = &appLimiter{balance: reachabilityBalance(next)}
		t.apps[key] = app
	}
	change := reachabilityBalance(next) - reachabilityBalance(before)
	turns := !slices.Equal(trueConditions(before), trueConditions(next))
	app.track(reachabilityBalance(next), change > 0, turns, now)
	switch {
	case equality.Semantic.DeepEqual(before, next):
		app.due = time.Time{}
		return 0
	case urgent(before, next), unproven(before) && !app.flaps():
		app.recordWrite(now)
		return 0
	}
	if pause := app.dampingDelay(change > 0, turns, now); pause > 0 {
		return pause
	}
	reword := change == 0 && before.Replicas == next.Replicas && before.ReadyReplicas == next.ReadyReplicas
	words := reword && sameReasons(before, next)
	if app.due.IsZero() || app.messageOnly && !words {
		app.due, app.messageOnly = t.reserve(words, now), words
	}
	left := app.due.Sub(now)
	if reword {
		left = max(left, app.rewordDelay(words, now))
	}
	if left > 0 {
		return left
	}
	if reword {
		app.rewording.AllowN(now, 1)
	}
	app.recordWrite(now)
	return 0
}

// recordWrite takes note that the status is written.
func (a *appLimiter) recordWrite(now time.Time) {
	a.due, a.trueSince, a.written = time.Time{}, time.Time{}, now
}

// reserve gives an app its turn among all that have something to tell, or words alone.
func (t *limiter) reserve(words bool, now time.Time) time.Time {
	limiter := t.all
	if words {
		limiter = t.messages
	}
	return now.Add(limiter.ReserveN(now, 1).DelayFrom(now))
}

// rewordDelay returns how long the app has to wait to tell other reasons, or words
// alone. It takes nothing yet: by then there may be more to tell.
func (a *appLimiter) rewordDelay(words bool, now time.Time) time.Duration {
	if a.rewording == nil {
		a.rewording = rate.NewLimiter(rate.Every(rewordPause), rewordBurst)
	}
	needed := 1.0
	if words {
		needed += reasonBurst
	}
	missing := needed - a.rewording.TokensAt(now)
	return time.Duration(missing * float64(rewordPause))
}

// trueConditions returns the conditions that are True. Between False and Unknown an app that
// goes to and fro does so as well.
func trueConditions(status *v1alpha1.ExposedAppStatus) []string {
	var holds []string
	for i := range status.Conditions {
		if status.Conditions[i].Status == metav1.ConditionTrue {
			holds = append(holds, status.Conditions[i].Type)
		}
	}
	return holds
}

// sameReasons tells whether two statuses give the same reasons, in whatever words.
// The state of a node that is not expected to answer is none.
func sameReasons(before, next *v1alpha1.ExposedAppStatus) bool {
	return slices.EqualFunc(before.Conditions, next.Conditions, func(a, b metav1.Condition) bool {
		return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason
	}) && slices.EqualFunc(before.Nodes, next.Nodes, func(a, b v1alpha1.NodeVerdict) bool {
		return a.Node == b.Node && a.Family == b.Family && a.Reason == b.Reason &&
			(a.State == b.State || !a.Expected && !b.Expected)
	})
}

// track takes note of how many nodes answer, of whether these are more than the status
// says, and whether that turns a condition.
func (a *appLimiter) track(answers int32, better, turns bool, now time.Time) {
	for len(a.recoveries) > 0 && now.Sub(a.recoveries[0]) > flapWindow {
		a.recoveries = a.recoveries[1:]
	}
	n := len(a.recoveries)
	if a.fell && answers > a.balance && (n == 0 || now.Sub(a.recoveries[n-1]) >= flapGather) {
		a.recoveries, a.fell = append(a.recoveries, now), false
	}
	a.fell = a.fell || answers < a.balance
	switch {
	case len(a.recoveries) > flaps, a.flaps() && answers < a.balance:
		a.worse = now
	case now.Sub(a.worse) > flapWindow:
		a.worse = time.Time{}
	}
	a.balance = answers
	switch {
	case !better || !turns:
		a.trueSince = time.Time{}
	case a.trueSince.IsZero():
		a.trueSince = now
	}
}

// flaps tells whether the app goes to and fro.
func (a *appLimiter) flaps() bool { return !a.worse.IsZero() }

// dampingDelay returns how long an app that goes to and fro has to wait with what it has to
// tell. That something holds no more does not wait.
func (a *appLimiter) dampingDelay(better, turns bool, now time.Time) time.Duration {
	switch {
	case !a.flaps():
		return 0
	case !turns:
		return max(0, a.written.Add(flapPause).Sub(now))
	case better:
		return max(0, a.trueSince.Add(steadyTime).Sub(now))
	}
	return 0
}

func (t *limiter) Forget(key types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.apps, key)
}

// urgent tells whether a status follows what is declared.
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
	return false
}

// unproven tells whether an app waits for a verdict.
func unproven(before *v1alpha1.ExposedAppStatus) bool {
	reachable := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReachable)
	return reachable == nil || reachable.Status == metav1.ConditionUnknown
}

// reachabilityBalance returns how many of the expected nodes answer, less those that do
// not.
func reachabilityBalance(status *v1alpha1.ExposedAppStatus) int32 {
	if status.Reachability == nil {
		return 0
	}
	return 2*status.Reachability.Reachable - status.Reachability.Expected
}
