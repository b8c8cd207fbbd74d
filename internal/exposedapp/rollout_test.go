package exposedapp

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestRollout(t *testing.T) {
	const done, inProgress, exceeded = "", "RolloutInProgress", "ProgressDeadlineExceeded"
	tests := map[string]struct {
		deployment *appsv1.Deployment
		reason     string
		message    string
	}{
		"none":     {reason: done},
		"complete": {deployment: rolledOut(3), reason: done},
		"complete, and nothing is said of progress": {
			deployment: rolledOut(3, func(d *appsv1.Deployment) { d.Status.Conditions = nil }), reason: done,
		},
		"complete, though a pod is not ready": {
			deployment: rolledOut(3, func(d *appsv1.Deployment) { d.Status.ReadyReplicas = 2 }), reason: done,
		},
		"complete with no replicas": {deployment: rolledOut(0), reason: done},
		"complete with replicas left to the default": {
			deployment: rolledOut(1, func(d *appsv1.Deployment) { d.Spec.Replicas = nil }), reason: done,
		},
		"not seen by its controller": {
			deployment: rolledOut(3, func(d *appsv1.Deployment) { d.Generation++ }),
			reason:     inProgress, message: "has not seen the newest revision",
		},
		"not seen by its controller since it missed the deadline": {
			deployment: rolledOut(3, progressing(corev1.ConditionFalse, exceeded), func(d *appsv1.Deployment) { d.Generation++ }),
			reason:     inProgress, message: "has not seen the newest revision",
		},
		"pods of the newest revision are missing": {
			deployment: rolledOut(3, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas, d.Status.Replicas = 2, 2 }),
			reason:     inProgress, message: "2 of 3 pods are of the newest revision, 3 are ready, 0 older ones remain",
		},
		"the one default pod is missing": {
			deployment: rolledOut(0, func(d *appsv1.Deployment) { d.Spec.Replicas = nil }),
			reason:     inProgress, message: "0 of 1 pods",
		},
		"pods of an older revision remain": {
			deployment: rolledOut(3, func(d *appsv1.Deployment) { d.Status.Replicas = 4 }),
			reason:     inProgress, message: "1 older ones remain",
		},
		"all pods are there, and not yet available": {
			deployment: rolledOut(3, progressing(corev1.ConditionTrue, "ReplicaSetUpdated")),
			reason:     inProgress, message: "3 of 3 pods",
		},
		"no progress": {
			deployment: rolledOut(3, progressing(corev1.ConditionFalse, exceeded)),
			reason:     exceeded, message: "as the controller says",
		},
		"paused": {
			deployment: rolledOut(3, progressing(corev1.ConditionUnknown, "DeploymentPaused")), reason: done,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := rolloutOf(test.deployment)
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
