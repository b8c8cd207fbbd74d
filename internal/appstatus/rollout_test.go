package appstatus

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/exposedapp/exposedapp/internal/workload"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestRollout(t *testing.T) {
	const done, inProgress, exceeded, paused = "", "RolloutInProgress", "ProgressDeadlineExceeded", "RolloutPaused"
	tests := map[string]struct {
		deployment *appsv1.Deployment
		// wanted is how many pods are declared, as many as the Deployment asks for
		// where it is nil.
		wanted  *int32
		reason  string
		message string
	}{
		"none":     {reason: done},
		"complete": {deployment: gen.RolledOut(3), reason: done},
		"complete, and nothing is said of progress": {
			deployment: gen.RolledOut(3, func(d *appsv1.Deployment) { d.Status.Conditions = nil }), reason: done,
		},
		"complete, and a pod is not available any more": {
			deployment: gen.RolledOut(8, func(d *appsv1.Deployment) { d.Status.ReadyReplicas, d.Status.AvailableReplicas = 7, 7 }),
			reason:     inProgress, message: "7 of 8 pods are available",
		},
		"complete, and too few are available for the Deployment itself": {
			deployment: gen.RolledOut(3, gen.Unavailable), reason: done,
		},
		"scaled up to more than there is room for": {
			deployment: gen.RolledOut(8, func(d *appsv1.Deployment) { d.Status.ReadyReplicas, d.Status.AvailableReplicas = 6, 6 }),
			reason:     inProgress, message: "6 of 8 pods are available",
		},
		"ready for too short a time": {
			deployment: gen.RolledOut(8, func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 7 }),
			reason:     inProgress, message: "7 of 8 pods are available",
		},
		"scaled down, and the others are still there": {
			deployment: gen.RolledOut(1, func(d *appsv1.Deployment) {
				d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = 3, 3, 3, 3
			}),
			reason: inProgress, message: "3 pods are there, 2 more than declared",
		},
		"scaled by somebody else": {
			deployment: gen.RolledOut(1), wanted: new(int32(3)),
			reason: inProgress, message: "1 of 3 pods are of the newest revision",
		},
		"complete with no replicas": {deployment: gen.RolledOut(0), reason: done},
		"complete with replicas left to the default": {
			deployment: gen.RolledOut(1, func(d *appsv1.Deployment) { d.Spec.Replicas = nil }), reason: done,
		},
		"not seen by its controller": {
			deployment: gen.RolledOut(3, func(d *appsv1.Deployment) { d.Generation++ }),
			reason:     inProgress, message: "has not seen the newest revision",
		},
		"not seen by its controller since it missed the deadline": {
			deployment: gen.RolledOut(3, gen.Progressing(corev1.ConditionFalse, exceeded), func(d *appsv1.Deployment) { d.Generation++ }),
			reason:     inProgress, message: "has not seen the newest revision",
		},
		"pods of the newest revision are missing": {
			deployment: gen.RolledOut(3, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas, d.Status.Replicas = 2, 2 }),
			reason:     inProgress, message: "2 of 3 pods are of the newest revision, 3 are ready, 0 older ones remain",
		},
		"the one default pod is missing": {
			deployment: gen.RolledOut(0, func(d *appsv1.Deployment) { d.Spec.Replicas = nil }),
			reason:     inProgress, message: "0 of 1 pods",
		},
		"pods of an older revision remain": {
			deployment: gen.RolledOut(3, func(d *appsv1.Deployment) { d.Status.Replicas = 4 }),
			reason:     inProgress, message: "1 older ones remain",
		},
		"all pods are there, and not yet available": {
			deployment: gen.RolledOut(3, gen.Progressing(corev1.ConditionTrue, "ReplicaSetUpdated")),
			reason:     inProgress, message: "3 of 3 pods",
		},
		"no progress": {
			deployment: gen.RolledOut(3, gen.Progressing(corev1.ConditionFalse, exceeded)),
			reason:     exceeded, message: "as the controller says",
		},
		"paused": {
			deployment: gen.RolledOut(3, gen.Paused), reason: done,
		},
		"paused in the middle": {
			deployment: gen.RolledOut(3, gen.Paused, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 }),
			reason:     paused, message: "2 older ones remain, and the rollout is paused: kubectl rollout resume deployment/web",
		},
		"paused before a new revision": {
			deployment: gen.RolledOut(3, gen.Paused, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 0 }),
			reason:     paused, message: "0 of 3 pods are of the newest revision",
		},
		"paused, and scaled up": {
			deployment: gen.RolledOut(3, gen.Paused, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas, d.Status.Replicas = 2, 2 }),
			reason:     inProgress, message: "2 of 3 pods",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			if test.wanted == nil && test.deployment != nil {
				test.wanted = test.deployment.Spec.Replicas
			}
			got := rolloutOf(test.deployment, ptr.Deref(test.wanted, 1))
			g.Expect(got.reason).To(Equal(test.reason))
			g.Expect(got.message).To(ContainSubstring(test.message))
			if test.reason == done {
				g.Expect(got.message).To(BeEmpty())
			} else {
				g.Expect(got.message).NotTo(BeEmpty())
			}
		})
	}
}

func TestWantedPods(t *testing.T) {
	g := NewWithT(t)
	app := gen.ExposedApp("web", gen.WithReplicas(3))
	g.Expect(wantedPods(app, nil)).To(Equal(int32(3)))
	g.Expect(wantedPods(app, gen.RolledOut(1))).To(Equal(int32(3)), "whatever somebody else made of it")
	gen.WithSuspend(app)
	g.Expect(wantedPods(app, gen.RolledOut(1))).To(Equal(int32(1)), "as they are left")
	g.Expect(wantedPods(app, nil)).To(Equal(int32(3)))
	unread := gen.ExposedApp("web")
	workload.MarkUnreadable(unread, "spec.minReachable")
	g.Expect(wantedPods(unread, gen.RolledOut(5))).To(Equal(int32(5)), "nobody knows how many")
}
