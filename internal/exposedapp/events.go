package exposedapp

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// recordTransitions records an Event for every condition that changed its
// status or reason, under the condition's own reason.
func (r *Reconciler) recordTransitions(app *v1alpha1.ExposedApp, conditions []metav1.Condition) {
	for _, condition := range conditions {
		before := meta.FindStatusCondition(app.Status.Conditions, condition.Type)
		if before != nil && before.Status == condition.Status && before.Reason == condition.Reason {
			continue
		}
		kind := corev1.EventTypeNormal
		if condition.Type == v1alpha1.ConditionStalled || condition.Status == metav1.ConditionFalse {
			kind = corev1.EventTypeWarning
		}
		r.Recorder.Eventf(app, nil, kind, condition.Reason, condition.Type, "%s", condition.Message)
	}
}
