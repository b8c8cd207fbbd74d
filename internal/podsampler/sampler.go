// Package podsampler finds out why the pods of an app are not ready. It lists a few of them,
// seldom, and remembers what it found.
package podsampler

import (
	"context"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/appstatus"
	"github.com/exposedapp/exposedapp/internal/trouble"
	"github.com/exposedapp/exposedapp/internal/workload"
)

const (
	// sampleAfter is how long pods may lack until a sample is taken, and samplePause how
	// long it is until the next one, twice as long each time.
	sampleAfter    = 5 * time.Second
	samplePause    = 10 * time.Second
	maxSamplePause = time.Minute

	// samplesPerSecond bounds the samples of all apps. Those that wait have slots that are
	// sampleEvery apart.
	samplesPerSecond = 5
	sampleEvery      = time.Second / samplesPerSecond

	// podsPerSample is how many pods are in a sample. Where there are more, it takes several
	// samples to find what is wrong: maxPages of those that run.
	podsPerSample = 5
	maxPages      = 4

	// sampleTimeout is how long a list may take. The status waits for it.
	sampleTimeout = 2 * time.Second
)

// Sampler finds out why pods are missing. Pods are not watched: a cluster has many, and
// they matter while an app lacks ready ones. Then a few are listed, seldom, and what
// was found is remembered until nothing is lacking.
type Sampler struct {
	pods client.Reader

	mu   sync.Mutex
	apps map[types.NamespacedName]*sample
	// freeSlot is the first slot that is free, and recent when the last samples were taken,
	// the oldest first.
	freeSlot time.Time
	recent   [samplesPerSecond]time.Time
	// busy is whether one is being taken. An API server that is slow must not hold up
	// more than one app.
	busy bool
}

// sample is what is known of the pods of an app, at one generation of its Deployment.
type sample struct {
	deployment types.UID
	generation int64
	ready      int32

	// due is when the next sample is due, pause how long to wait after that, and slot when
	// it can be taken, zero before it is due.
	due, slot time.Time
	pause     time.Duration

	// phase and page are where in the pods of a large app to go on, pages how many were
	// listed, and bothPhases whether both phases were.
	phase      corev1.PodPhase
	page       string
	pages      int
	bothPhases bool

	why string
}

// New returns a Sampler that lists pods by a reader without a cache.
func New(pods client.Reader) *Sampler {
	return &Sampler{pods: pods, apps: make(map[types.NamespacedName]*sample)}
}

// Explain returns why pods of an app are not ready, where that is known, and how long it
// is until it is to be found out again, 0 for never.
func (s *Sampler) Explain(
	ctx context.Context, app *v1alpha1.ExposedApp, deployment *appsv1.Deployment, now time.Time,
) (why string, due time.Duration) {
	key := client.ObjectKeyFromObject(app)
	// The status of a Deployment that cannot make pods says why.
	if !appstatus.LacksPods(app, deployment) || appstatus.DeploymentCondition(deployment, appsv1.DeploymentReplicaFailure) != nil {
		s.Forget(key)
		return "", 0
	}
	if due = s.due(app, deployment, now); due == 0 {
		due = s.list(ctx, app, deployment, now)
	}
	return s.why(key), due
}

// due returns how long it is until the pods of an app are to be looked at, 0 for now,
// by the caller.
func (s *Sampler) due(app *v1alpha1.ExposedApp, deployment *appsv1.Deployment, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := client.ObjectKeyFromObject(app)
	one := s.apps[key]
	if one == nil || one.deployment != deployment.UID || one.generation != deployment.Generation {
		known := one != nil
		one = &sample{
			deployment: deployment.UID, generation: deployment.Generation, ready: deployment.Status.ReadyReplicas,
			due: now.Add(sampleAfter), pause: samplePause,
		}
		if !known {
			one.why = appstatus.KnownCause(app, deployment)
		}
		s.apps[key] = one
	}
	if deployment.Status.ReadyReplicas != one.ready {
		// It may be something else that the others lack.
		one.ready, one.pause = deployment.Status.ReadyReplicas, samplePause
		one.due = earlier(one.due, now.Add(samplePause))
	}
	if now.Before(one.due) {
		return one.due.Sub(now)
	}
	if one.slot.IsZero() {
		one.slot = later(now, s.freeSlot)
		s.freeSlot = one.slot.Add(sampleEvery)
	}
	// Several may come late to their slots.
	one.slot = later(one.slot, s.recent[0].Add(time.Second))
	switch {
	case now.Before(one.slot):
		return one.slot.Sub(now)
	case s.busy:
		return sampleEvery
	}
	s.busy = true
	copy(s.recent[:], s.recent[1:])
	s.recent[samplesPerSecond-1], one.slot = now, time.Time{}
	return 0
}

// list lists a few pods of an app, and returns how long it is until the next sample.
func (s *Sampler) list(
	ctx context.Context, app *v1alpha1.ExposedApp, deployment *appsv1.Deployment, now time.Time,
) time.Duration {
	s.mu.Lock()
	one := s.apps[client.ObjectKeyFromObject(app)]
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	var pods corev1.PodList
	err := s.pods.List(ctx, &pods, client.InNamespace(app.Namespace), client.MatchingLabels(workload.Selector(app)),
		client.MatchingFieldsSelector{Selector: one.inPhase(deployment)}, client.Limit(podsPerSample), client.Continue(one.page))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	switch found := trouble.OfPods(app.Name, pods.Items, now); {
	case apierrors.IsForbidden(err):
		one.why = "the operator may not list pods, so it cannot tell why"
	case err != nil:
		logf.FromContext(ctx).V(1).Info("Could not look at the pods", "error", err.Error())
	case found.Text == "" && one.next(pods.Continue):
		one.due = now
		return sampleEvery
	default:
		one.why = found.After(one.why)
	}
	one.page, one.pages, one.bothPhases = "", 0, false
	one.due = now.Add(one.pause)
	one.pause = min(2*one.pause, maxSamplePause)
	return one.due.Sub(now)
}

// inPhase selects the pods to list: all that have not ended, or those of one phase where
// there are more than fit in a sample.
func (o *sample) inPhase(deployment *appsv1.Deployment) fields.Selector {
	const phase = "status.phase"
	if deployment.Status.Replicas <= podsPerSample {
		o.phase, o.page = "", ""
		return fields.AndSelectors(fields.OneTermNotEqualSelector(phase, string(corev1.PodFailed)),
			fields.OneTermNotEqualSelector(phase, string(corev1.PodSucceeded)))
	}
	if o.phase == "" {
		o.phase = corev1.PodPending
	}
	return fields.OneTermEqualSelector(phase, string(o.phase))
}

// next moves on to pods that were not looked at, and reports whether there are any.
func (o *sample) next(page string) bool {
	o.pages++
	switch {
	case o.phase == "":
		return false
	case o.phase == corev1.PodRunning && page != "" && o.pages < maxPages:
		o.page = page
		return true
	case o.bothPhases:
		return false
	case o.phase == corev1.PodRunning:
		o.phase = corev1.PodPending
	default:
		o.phase = corev1.PodRunning
	}
	o.page, o.pages, o.bothPhases = "", 0, true
	return true
}

// why returns what was found out about an app.
func (s *Sampler) why(key types.NamespacedName) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.apps[key]; one != nil {
		return one.why
	}
	return ""
}

// Forget forgets an app that is gone.
func (s *Sampler) Forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.apps, key)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
