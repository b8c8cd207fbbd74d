package appstatus

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/trouble"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// What the Deployment controller writes as the reason of its Progressing
// condition.
const (
	NewReplicaSetAvailable   = "NewReplicaSetAvailable"
	ProgressDeadlineExceeded = "ProgressDeadlineExceeded"

	// maxDeadlineMessage bounds what it says there. It names a ReplicaSet.
	maxDeadlineMessage = 320
)

// progress is how far a Deployment is. It is empty when all that is declared runs, in
// the newest revision, and nothing else does.
type progress struct {
	reason, message string
}

// rolloutOf returns how far a Deployment is on its way to as many pods as are wanted. It
// is as strict as kubectl rollout status, also about pods that fail later on.
func rolloutOf(deployment *appsv1.Deployment, wanted int32) progress {
	if deployment == nil {
		return progress{}
	}
	status := &deployment.Status
	older := status.Replicas - status.UpdatedReplicas
	progressing := DeploymentCondition(deployment, appsv1.DeploymentProgressing)
	unfinished := progressing != nil && progressing.Status == corev1.ConditionTrue &&
		progressing.Reason != NewReplicaSetAvailable
	inProgress := func(format string, args ...any) progress {
		return progress{v1alpha1.ReasonRolloutInProgress, fmt.Sprintf(format, args...)}
	}
	switch {
	case status.ObservedGeneration < deployment.Generation:
		return inProgress("the Deployment controller has not seen the newest revision yet")
	case progressing != nil && progressing.Reason == ProgressDeadlineExceeded:
		return progress{v1alpha1.ReasonProgressDeadlineExceeded, trouble.Clean(progressing.Message, maxDeadlineMessage)}
	case deployment.Spec.Paused && older > 0:
		return progress{v1alpha1.ReasonRolloutPaused, fmt.Sprintf(
			"%d of %d pods are of the newest revision, %d older ones remain, and the rollout is paused: "+
				"kubectl rollout resume deployment/%s", status.UpdatedReplicas, wanted, older, deployment.Name)}
	case unfinished || status.UpdatedReplicas < wanted || older > 0:
		return inProgress("%d of %d pods are of the newest revision, %d are ready, %d older ones remain",
			status.UpdatedReplicas, wanted, status.ReadyReplicas, older)
	case status.Replicas > wanted:
		return inProgress("%d pods are there, %d more than declared", status.Replicas, status.Replicas-wanted)
	case status.AvailableReplicas < wanted && isTrue(deployment, appsv1.DeploymentAvailable):
		// The Deployment calls itself available at three quarters of its pods.
		return inProgress("%d of %d pods are available", status.AvailableReplicas, wanted)
	}
	return progress{}
}

// wantedPods returns how many pods there should be: as declared, or as they are left
// while the operator must not touch them, or cannot read what is declared.
func wantedPods(app *v1alpha1.ExposedApp, deployment *appsv1.Deployment) int32 {
	if deployment != nil && (workload.Suspended(app) || workload.Unreadable(app) != "") {
		return ptr.Deref(deployment.Spec.Replicas, 1)
	}
	return ptr.Deref(app.Spec.App.Replicas, 1)
}

// LacksPods reports whether pods that should be ready are not, so that somebody will
// ask why.
func LacksPods(app *v1alpha1.ExposedApp, deployment *appsv1.Deployment) bool {
	wanted := wantedPods(app, deployment)
	if deployment == nil || deployment.DeletionTimestamp != nil || wanted == 0 {
		return false
	}
	rollout := rolloutOf(deployment, wanted)
	return rollout.reason != v1alpha1.ReasonRolloutPaused &&
		(rollout.message != "" || !isTrue(deployment, appsv1.DeploymentAvailable))
}

// KnownCause returns what the status says of the same lack of pods, which another operator
// found out. It stands until this one has looked.
func KnownCause(app *v1alpha1.ExposedApp, deployment *appsv1.Deployment) string {
	plain := Observed{Deployment: deployment}
	for _, of := range []struct{ kind, message string }{
		{v1alpha1.ConditionReady, plain.rollout(app).message},
		{v1alpha1.ConditionAvailable, availableCondition(app, &plain).Message},
	} {
		was := meta.FindStatusCondition(app.Status.Conditions, of.kind)
		if was == nil || was.ObservedGeneration != app.Generation || of.message == "" {
			continue
		}
		message := strings.TrimSuffix(was.Message, notes(app, &plain))
		if why, found := strings.CutPrefix(message, beforeCause(of.message)); found {
			return why
		}
	}
	return ""
}
