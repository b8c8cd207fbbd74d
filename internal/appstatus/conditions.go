package appstatus

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/trouble"
	"github.com/exposedapp/exposedapp/internal/truncate"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// conditions returns every condition of an ExposedApp. One without a status is
// absent.
func conditions(app *v1alpha1.ExposedApp, seen *Observed) []metav1.Condition {
	available := availableCondition(app, seen)
	allocated := portAllocatedCondition(app, seen)
	reachable := reachableCondition(seen, allocated)
	stalled := stalledCondition(seen)
	ready := readyCondition(app, seen, available, allocated, reachable)
	suffix := notes(app, seen)
	ready.Message = truncate.Marked(ready.Message, maxConditionMessage-len(suffix)) + suffix
	return []metav1.Condition{
		ready,
		available,
		allocated,
		reachable,
		reconcilingCondition(app, seen, stalled, ready),
		stalled,
	}
}

// readyCondition is the first thing that holds the app back, or True.
func readyCondition(
	app *v1alpha1.ExposedApp, seen *Observed, available, allocated, reachable metav1.Condition,
) metav1.Condition {
	if refusal := seen.blockingError(app); refusal != nil {
		return condition(v1alpha1.ConditionReady, metav1.ConditionFalse, refusal.Reason, refusal.Message)
	}
	if allocated.Status != metav1.ConditionTrue {
		return as(v1alpha1.ConditionReady, allocated)
	}
	if rollout := seen.rollout(app); rollout.message != "" {
		return condition(v1alpha1.ConditionReady, metav1.ConditionFalse, rollout.reason, rollout.message)
	}
	if available.Status != metav1.ConditionTrue {
		return as(v1alpha1.ConditionReady, available)
	}
	summary := summarize(seen.Verdicts)
	needed := neededNodes(app, summary.Expected)
	unknown := count(seen.Verdicts, v1alpha1.NodeUnknown)
	switch {
	case summary.Reachable >= needed:
		return condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady,
			fmt.Sprintf("%s of the expected nodes answer on node port %d", summary.Summary, workload.HeldPort(seen.Service)))
	case summary.Reachable+unknown >= needed:
		return condition(v1alpha1.ConditionReady, metav1.ConditionUnknown, reachable.Reason, reachable.Message)
	default:
		return condition(v1alpha1.ConditionReady, metav1.ConditionFalse, reachable.Reason,
			fmt.Sprintf("%s of the expected nodes answer, %d must: %s", summary.Summary, needed, reachable.Message))
	}
}

// availableCondition is what the Deployment says about its pods.
func availableCondition(app *v1alpha1.ExposedApp, seen *Observed) metav1.Condition {
	is := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return condition(v1alpha1.ConditionAvailable, status, reason, message)
	}
	deployment := seen.Deployment
	switch {
	case deployment == nil && seen.DeploymentError != nil:
		return is(metav1.ConditionFalse, seen.DeploymentError.Reason, seen.DeploymentError.Message)
	case deployment == nil && workload.Suspended(app):
		return is(metav1.ConditionFalse, v1alpha1.ReasonSuspended, "spec.suspend is true and there is no Deployment")
	case deployment == nil:
		return is(metav1.ConditionUnknown, v1alpha1.ReasonPending, "the Deployment is being made")
	case ptr.Deref(deployment.Spec.Replicas, 1) == 0:
		return is(metav1.ConditionFalse, v1alpha1.ReasonScaledToZero, "spec.app.replicas is 0")
	}
	pods := fmt.Sprintf("%d of %d pods are ready", deployment.Status.ReadyReplicas, ptr.Deref(deployment.Spec.Replicas, 1))
	if isTrue(deployment, appsv1.DeploymentAvailable) {
		return is(metav1.ConditionTrue, v1alpha1.ReasonMinimumReplicasAvailable, pods)
	}
	if rollout := seen.rollout(app); rollout.reason == v1alpha1.ReasonProgressDeadlineExceeded {
		return is(metav1.ConditionFalse, rollout.reason, pods+": "+rollout.message)
	}
	return is(metav1.ConditionFalse, v1alpha1.ReasonMinimumReplicasUnavailable, withCause(pods, seen.whyNoPods()))
}

// rollout returns how far the Deployment is, and why it is no further.
func (o *Observed) rollout(app *v1alpha1.ExposedApp) progress {
	rollout := rolloutOf(o.Deployment, wantedPods(app, o.Deployment))
	if rollout.message != "" && rollout.reason != v1alpha1.ReasonRolloutPaused {
		rollout.message = withCause(rollout.message, o.whyNoPods())
	}
	return rollout
}

// whyNoPods returns why pods are missing, or are there and not ready, "" while the
// Deployment controller has not seen the newest Deployment.
func (o *Observed) whyNoPods() string {
	if o.Deployment.Status.ObservedGeneration < o.Deployment.Generation {
		return ""
	}
	if failure := DeploymentCondition(o.Deployment, appsv1.DeploymentReplicaFailure); failure != nil {
		return trouble.OfRefusal(failure.Message).Text
	}
	return o.PodTrouble
}

// withCause adds to a message why it is so, where that is known.
func withCause(message, why string) string {
	if why == "" {
		return message
	}
	return beforeCause(message) + why
}

func beforeCause(message string) string { return strings.TrimSuffix(message, ".") + ": " }

// notes are what a person must know of the Deployment whether the app is Ready or
// not.
func notes(app *v1alpha1.ExposedApp, seen *Observed) string {
	if seen.Deployment == nil {
		return ""
	}
	text, wanted := "", wantedPods(app, seen.Deployment)
	if seen.Deployment.Spec.Paused && rolloutOf(seen.Deployment, wanted).reason != v1alpha1.ReasonRolloutPaused {
		text += "; rollouts are paused: kubectl rollout resume deployment/" + seen.Deployment.Name
	}
	if seen.Rival != "" {
		text += fmt.Sprintf("; %s sets the Deployment's replicas again and again, and the operator sets them back to %d: "+
			"have it scale the ExposedApp", seen.Rival, wanted)
	}
	return text
}

// portAllocatedCondition is whether the Service holds the node port that is
// asked for.
func portAllocatedCondition(app *v1alpha1.ExposedApp, seen *Observed) metav1.Condition {
	is := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return condition(v1alpha1.ConditionPortAllocated, status, reason, message)
	}
	held := workload.HeldPort(seen.Service)
	switch {
	case held != 0 && held == ptr.Deref(app.Spec.NodePort, held):
		return is(metav1.ConditionTrue, v1alpha1.ReasonAllocated, fmt.Sprintf("the Service holds node port %d", held))
	case seen.ServiceError != nil:
		message := seen.ServiceError.Message
		if held != 0 {
			message += fmt.Sprintf("; the Service still holds %d", held)
		}
		return is(metav1.ConditionFalse, seen.ServiceError.Reason, message)
	case workload.Suspended(app):
		return is(metav1.ConditionFalse, v1alpha1.ReasonSuspended,
			"spec.suspend is true and the Service does not hold the node port")
	default:
		return is(metav1.ConditionUnknown, v1alpha1.ReasonPending, "the Service is being made")
	}
}

// reachableCondition sums up the verdicts on the nodes.
func reachableCondition(seen *Observed, allocated metav1.Condition) metav1.Condition {
	is := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return condition(v1alpha1.ConditionReachable, status, reason, message)
	}
	held := workload.HeldPort(seen.Service)
	if held == 0 {
		return as(v1alpha1.ConditionReachable, allocated)
	}
	summary := summarize(seen.Verdicts)
	worst := worstVerdict(seen.Verdicts)
	switch {
	case summary.Expected > 0 && summary.Reachable == summary.Expected:
		message := fmt.Sprintf("every expected node answers on node port %d", held)
		for i := range seen.Verdicts {
			switch verdict := &seen.Verdicts[i]; verdict.Reason {
			case v1alpha1.ReasonReachableFromSelfOnly:
				return is(metav1.ConditionTrue, verdict.Reason, verdict.Message)
			case v1alpha1.ReasonSuspectObserver:
				return is(metav1.ConditionTrue, v1alpha1.ReasonAllReachable, message+"; "+verdict.Message)
			}
		}
		return is(metav1.ConditionTrue, v1alpha1.ReasonAllReachable, message)
	case !seen.Endpoints.Ready() && (worst == nil || worst.Reason != v1alpha1.ReasonNotServed):
		return is(metav1.ConditionFalse, v1alpha1.ReasonNoReadyEndpoints,
			"no pod of the app is ready, so no node can answer")
	case worst == nil:
		return is(metav1.ConditionUnknown, v1alpha1.ReasonNoExpectedNodes, "no node is expected to answer, see status.nodes")
	case worst.State == v1alpha1.NodeUnreachable:
		return is(metav1.ConditionFalse, v1alpha1.ReasonNodesUnreachable,
			fmt.Sprintf("%s of the expected nodes answer; %s: %s: %s",
				summary.Summary, worst.Node, worst.Reason, worst.Message))
	default:
		return is(metav1.ConditionUnknown, worst.Reason,
			fmt.Sprintf("%s of the expected nodes are known to answer; %s: %s",
				summary.Summary, worst.Node, worst.Message))
	}
}

// reconcilingCondition is whether the operator or Kubernetes is still on the way
// to what is declared. Nodes that fail to answer do not make it so.
func reconcilingCondition(
	app *v1alpha1.ExposedApp, seen *Observed, stalled, ready metav1.Condition,
) metav1.Condition {
	is := func(reason, message string) metav1.Condition {
		return condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, message)
	}
	rollout := seen.rollout(app)
	switch {
	case stalled.Status == metav1.ConditionTrue:
	case seen.DeploymentError != nil:
		return is(seen.DeploymentError.Reason, seen.DeploymentError.Message)
	case seen.ServiceError != nil:
		return is(seen.ServiceError.Reason, seen.ServiceError.Message)
	case workload.Suspended(app):
	case seen.Deployment == nil || seen.Service == nil:
		return is(v1alpha1.ReasonPending, "the Deployment and the Service are being made")
	case rollout.reason == v1alpha1.ReasonRolloutInProgress:
		return is(rollout.reason, rollout.message)
	case ready.Status == metav1.ConditionUnknown && ready.Reason == v1alpha1.ReasonPending:
		return is(ready.Reason, ready.Message)
	case ready.Reason == v1alpha1.ReasonNoReadyEndpoints && seen.Deployment.Status.ReadyReplicas > 0:
		return is(v1alpha1.ReasonPending, "pods are ready, and the Service has yet to take them up")
	}
	return metav1.Condition{Type: v1alpha1.ConditionReconciling}
}

// stalledCondition is whether a human must edit something.
func stalledCondition(seen *Observed) metav1.Condition {
	for _, refusal := range []*applyerror.Error{seen.DeploymentError, seen.ServiceError} {
		if refusal.IsStalled() {
			return condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, refusal.Reason, refusal.Message)
		}
	}
	return metav1.Condition{Type: v1alpha1.ConditionStalled}
}

// worstVerdict returns the first verdict of the worst kind on an expected node that
// does not answer, or nil.
func worstVerdict(verdicts []v1alpha1.NodeVerdict) *v1alpha1.NodeVerdict {
	var worst *v1alpha1.NodeVerdict
	for i := range verdicts {
		verdict := &verdicts[i]
		if !verdict.Expected || verdict.State == v1alpha1.NodeReachable {
			continue
		}
		if worst == nil || rank(verdict) < rank(worst) {
			worst = verdict
		}
	}
	return worst
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}

// as returns a condition under another type.
func as(kind string, other metav1.Condition) metav1.Condition {
	return condition(kind, other.Status, other.Reason, other.Message)
}

func isTrue(deployment *appsv1.Deployment, kind appsv1.DeploymentConditionType) bool {
	condition := DeploymentCondition(deployment, kind)
	return condition != nil && condition.Status == corev1.ConditionTrue
}

// DeploymentCondition returns a condition of a Deployment, nil where it has none of that type.
func DeploymentCondition(
	deployment *appsv1.Deployment, kind appsv1.DeploymentConditionType,
) *appsv1.DeploymentCondition {
	for i := range deployment.Status.Conditions {
		if deployment.Status.Conditions[i].Type == kind {
			return &deployment.Status.Conditions[i]
		}
	}
	return nil
}
