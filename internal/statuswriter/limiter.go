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

	// messagesPerSecond bounds those that change nothing but messages, beyond
	// messageBurst. They have their own bound, because the message on a node that dies
	// changes with each of its observers, and nothing else is to wait for that.
	messagesPerSecond = 20
	messageBurst      = 100

	// A status by which fewer nodes answer is written at once. An app that recovered more
	// than flaps times within flapWindow is flapping until flapWindow passes without another
	// regression. Meanwhile a condition has to be True for steadyTime before that is written,
	// and updates that neither set nor clear a True condition are written at most every
	// flapPause. An app recovers when more nodes answer after fewer did; recoveries within
	// flapGather count as one.
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
// declared. It never drops one: when the time has come, the app is observed again.
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
	// due is when the app's status may be written, while one waits, and messageOnly whether
	// that status changes nothing but messages.
	due         time.Time
	messageOnly bool
	// balance is the last reachabilityBalance, fell whether it fell since the last recovery,
	// recoveries are the times of those in the last flapWindow, and worse is when the balance
	// of an app that is flapping last fell.
	balance    int32
	fell       bool
	recoveries []time.Time
	worse      time.Time
	// trueSince is since when a condition would be True that is not in the written status,
	// and written when the status was last written.
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
// It is called for every status, also for one that does not differ.
func (l *limiter) wait(
	key types.NamespacedName, before, next *v1alpha1.ExposedAppStatus, now time.Time,
) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	app := l.apps[key]
	if app == nil {
		app = &appLimiter{balance: reachabilityBalance(next)}
		l.apps[key] = app
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
	messageOnly := reword && sameReasons(before, next)
	if app.due.IsZero() || app.messageOnly && !messageOnly {
		app.due, app.messageOnly = l.reserve(messageOnly, now), messageOnly
	}
	left := app.due.Sub(now)
	if reword {
		left = max(left, app.rewordDelay(messageOnly, now))
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

// reserve returns when the next status of all, or the next of those that change nothing
// but messages, may be written.
func (l *limiter) reserve(messageOnly bool, now time.Time) time.Time {
	writes := l.all
	if messageOnly {
		writes = l.messages
	}
	return now.Add(writes.ReserveN(now, 1).DelayFrom(now))
}

// rewordDelay returns how long a status with other reasons, or other messages alone, has to
// wait. It takes nothing yet: by then more may have changed.
func (a *appLimiter) rewordDelay(messageOnly bool, now time.Time) time.Duration {
	if a.rewording == nil {
		a.rewording = rate.NewLimiter(rate.Every(rewordPause), rewordBurst)
	}
	needed := 1.0
	if messageOnly {
		needed += reasonBurst
	}
	missing := needed - a.rewording.TokensAt(now)
	return time.Duration(missing * float64(rewordPause))
}

// trueConditions returns the conditions that are True. False and Unknown are not told apart:
// an app that is flapping goes from one to the other as well.
func trueConditions(status *v1alpha1.ExposedAppStatus) []string {
	var holds []string
	for i := range status.Conditions {
		if status.Conditions[i].Status == metav1.ConditionTrue {
			holds = append(holds, status.Conditions[i].Type)
		}
	}
	return holds
}

// sameReasons reports whether two statuses give the same reasons, in whatever messages.
// The state of a node that is not expected to answer does not count.
func sameReasons(before, next *v1alpha1.ExposedAppStatus) bool {
	return slices.EqualFunc(before.Conditions, next.Conditions, func(a, b metav1.Condition) bool {
		return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason
	}) && slices.EqualFunc(before.Nodes, next.Nodes, func(a, b v1alpha1.NodeVerdict) bool {
		return a.Node == b.Node && a.Family == b.Family && a.Reason == b.Reason &&
			(a.State == b.State || !a.Expected && !b.Expected)
	})
}

// track records the balance. better is whether it is above that of the written status, and
// turns whether other conditions are True.
func (a *appLimiter) track(balance int32, better, turns bool, now time.Time) {
	for len(a.recoveries) > 0 && now.Sub(a.recoveries[0]) > flapWindow {
		a.recoveries = a.recoveries[1:]
	}
	n := len(a.recoveries)
	if a.fell && balance > a.balance && (n == 0 || now.Sub(a.recoveries[n-1]) >= flapGather) {
		a.recoveries, a.fell = append(a.recoveries, now), false
	}
	a.fell = a.fell || balance < a.balance
	switch {
	case len(a.recoveries) > flaps, a.flaps() && balance < a.balance:
		a.worse = now
	case now.Sub(a.worse) > flapWindow:
		a.worse = time.Time{}
	}
	a.balance = balance
	switch {
	case !better || !turns:
		a.trueSince = time.Time{}
	case a.trueSince.IsZero():
		a.trueSince = now
	}
}

// flaps reports whether the app is flapping.
func (a *appLimiter) flaps() bool { return !a.worse.IsZero() }

// dampingDelay returns how long a status of an app that is flapping has to wait. A True
// condition that ends does not wait.
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

// Forget forgets an app that is gone.
func (l *limiter) Forget(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.apps, key)
}

// urgent reports whether a status follows what is declared.
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

// unproven reports whether an app waits for a verdict.
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
