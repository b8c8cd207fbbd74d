package exposedapp

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// What the Deployment controller writes as the reason of its Progressing
// condition.
const (
	newReplicaSetAvailable   = "NewReplicaSetAvailable"
	progressDeadlineExceeded = "ProgressDeadlineExceeded"
)

// rollout is how far a Deployment is. It is empty when the newest revision is
// all there and nothing else is.
type rollout struct {
	reason, message string
}

// rolloutOf tells how far a Deployment is.
func rolloutOf(deployment *appsv1.Deployment) rollout {
	if deployment == nil {
		return rollout{}
	}
	status := &deployment.Status
	wanted := ptr.Deref(deployment.Spec.Replicas, 1)
	progressing := deploymentCondition(deployment, appsv1.DeploymentProgressing)
	unfinished := progressing != nil && progressing.Status == corev1.ConditionTrue &&
		progressing.Reason != newReplicaSetAvailable
	switch {
	case status.ObservedGeneration < deployment.Generation:
		return rollout{v1alpha1.ReasonRolloutInProgress, "the Deployment controller has not seen the newest revision yet"}
	case progressing != nil && progressing.Reason == progressDeadlineExceeded:
		return rollout{v1alpha1.ReasonProgressDeadlineExceeded, progressing.Message}
	case unfinished || status.UpdatedReplicas < wanted || status.Replicas > status.UpdatedReplicas:
		return rollout{v1alpha1.ReasonRolloutInProgress, fmt.Sprintf(
			"%d of %d pods are of the newest revision, %d are ready, %d older ones remain",
			status.UpdatedReplicas, wanted, status.ReadyReplicas, status.Replicas-status.UpdatedReplicas)}
	}
	return rollout{}
}
