package appstatus

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

type conditionsCase struct {
	options []gen.Option
	seen    *Observed

	// Each as "Status Reason"; reconciling and stalled as their reason, absent
	// where empty.
	ready, available, allocated, reachable string
	reconciling, stalled                   string
	kstatus                                any
	// unobserved is whether the generation is not there yet.
	unobserved bool
	// messages are texts that a condition's message contains.
	messages map[string]string
}

func TestConditionsOfTheApp(t *testing.T) {
	const (
		up     = "True MinimumReplicasAvailable"
		held   = "True Allocated"
		answer = "True AllReachable"
	)
	runConditions(t, map[string]conditionsCase{
		"all is well": {
			seen:  healthy(),
			ready: "True Ready", available: up, allocated: held, reachable: answer, kstatus: kstatus.Current,
			messages: map[string]string{
				"Ready":     "3/3 of the expected nodes answer on node port 31000",
				"Available": "3 of 3 pods are ready", "PortAllocated": "31000", "Reachable": "31000",
			},
		},
		"nothing is made yet": {
			seen:  &Observed{},
			ready: "Unknown Pending", available: "Unknown Pending", allocated: "Unknown Pending",
			reachable: "Unknown Pending", reconciling: "Pending", kstatus: kstatus.InProgress,
		},
		"the Deployment is on its way": {
			seen:  healthy(func(seen *Observed) { seen.Deployment = nil }),
			ready: "Unknown Pending", available: "Unknown Pending", allocated: held, reachable: answer,
			reconciling: "Pending", kstatus: kstatus.InProgress,
		},
		"a new revision rolls out": {
			seen:  withDeployment(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 }),
			ready: "False RolloutInProgress", available: up, allocated: held, reachable: answer,
			reconciling: "RolloutInProgress", kstatus: kstatus.InProgress,
			messages: map[string]string{"Ready": "1 of 3 pods are of the newest revision, 3 are ready, 2 older ones remain"},
		},
		"a rollout makes no progress": {
			seen:  withDeployment(gen.Unavailable, gen.Progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded")),
			ready: "False ProgressDeadlineExceeded", available: "False ProgressDeadlineExceeded",
			allocated: held, reachable: answer, kstatus: kstatus.InProgress,
			messages: map[string]string{"Available": "1 of 3 pods are ready: as the controller says"},
		},
		"a rollout makes no progress, and the older pods serve on": {
			seen:  withDeployment(gen.Progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded")),
			ready: "False ProgressDeadlineExceeded", available: up, allocated: held, reachable: answer,
			kstatus: kstatus.InProgress,
		},
		"pods fail after the rollout": {
			seen:  withDeployment(gen.Unavailable),
			ready: "False MinimumReplicasUnavailable", available: "False MinimumReplicasUnavailable",
			allocated: held, reachable: answer, kstatus: kstatus.InProgress,
			messages: map[string]string{"Ready": "1 of 3 pods are ready"},
		},
		"pods cannot be made": {
			seen: withDeployment(gen.Unavailable, func(d *appsv1.Deployment) {
				d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{
					Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota",
				})
			}),
			ready: "False MinimumReplicasUnavailable", available: "False MinimumReplicasUnavailable",
			allocated: held, reachable: answer, kstatus: kstatus.InProgress,
			messages: map[string]string{"Available": "1 of 3 pods are ready: exceeded quota"},
		},
		"pods cannot be made, and the older ones serve": {
			seen: withDeployment(func(d *appsv1.Deployment) {
				d.Status.UpdatedReplicas = 0
				d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{
					Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue,
					Message: `pods "web-5c-x2x7k" is forbidden: exceeded quota: small`,
				})
			}),
			ready: "False RolloutInProgress", available: up, allocated: held, reachable: answer,
			reconciling: "RolloutInProgress", kstatus: kstatus.InProgress,
			messages: map[string]string{
				"Ready":       "3 older ones remain: pods are forbidden: exceeded quota: small",
				"Reconciling": "3 older ones remain: pods are forbidden: exceeded quota: small",
			},
		},
		"there is room for fewer than declared": {
			seen: lacking("no node takes a pod: 3 Insufficient cpu", func(d *appsv1.Deployment) {
				d.Status.ReadyReplicas, d.Status.AvailableReplicas = 2, 2
			}),
			ready: "False RolloutInProgress", available: up, allocated: held, reachable: answer,
			reconciling: "RolloutInProgress", kstatus: kstatus.InProgress,
			messages: map[string]string{
				"Ready": "2 of 3 pods are available: no node takes a pod: 3 Insufficient cpu", "Available": "2 of 3 pods are ready",
			},
		},
		"pods fail after the rollout, and it is known why": {
			seen:  lacking(`container "app" ends with exit code 1`, gen.Unavailable),
			ready: "False MinimumReplicasUnavailable", available: "False MinimumReplicasUnavailable",
			allocated: held, reachable: answer, kstatus: kstatus.InProgress,
			messages: map[string]string{"Ready": `1 of 3 pods are ready: container "app" ends with exit code 1`},
		},
		"a rollout makes no progress, and it is known why": {
			seen:  lacking(`image "x" cannot be pulled`, gen.Progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded")),
			ready: "False ProgressDeadlineExceeded", available: up, allocated: held, reachable: answer,
			kstatus:  kstatus.InProgress,
			messages: map[string]string{"Ready": `as the controller says: image "x" cannot be pulled`},
		},
		"a new revision of which nothing is known": {
			seen:  lacking("what was wrong with the last", func(d *appsv1.Deployment) { d.Generation++ }),
			ready: "False RolloutInProgress", available: up, allocated: held, reachable: answer,
			reconciling: "RolloutInProgress", kstatus: kstatus.InProgress,
			messages: map[string]string{"Ready": "has not seen the newest revision yet"},
		},
		"a rollout is paused": {
			seen:  withDeployment(gen.Paused, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 0 }),
			ready: "False RolloutPaused", available: up, allocated: held, reachable: answer, kstatus: kstatus.InProgress,
			messages: map[string]string{"Ready": "kubectl rollout resume deployment/web"},
		},
		"rollouts are paused while all is well": {
			seen:  withDeployment(gen.Paused),
			ready: "True Ready", available: up, allocated: held, reachable: answer, kstatus: kstatus.Current,
			messages: map[string]string{
				"Ready": "on node port 31000; rollouts are paused: kubectl rollout resume deployment/web",
			},
		},
		"somebody else scales the Deployment": {
			seen:  healthy(func(seen *Observed) { seen.Rival = "a HorizontalPodAutoscaler" }),
			ready: "True Ready", available: up, allocated: held, reachable: answer, kstatus: kstatus.Current,
			messages: map[string]string{
				"Ready": "on node port 31000; a HorizontalPodAutoscaler sets the Deployment's replicas again and again, " +
					"and the operator sets them back to 3: have it scale the ExposedApp",
			},
		},
		"scaled to zero": {
			options: []gen.Option{gen.WithReplicas(0)},
			seen: healthy(func(seen *Observed) {
				seen.Deployment, seen.Endpoints = gen.RolledOut(0), nil
				seen.Verdicts = []v1alpha1.NodeVerdict{gen.Unreachable("a"), gen.Unreachable("b")}
			}),
			ready: "False ScaledToZero", available: "False ScaledToZero", allocated: held,
			reachable: "False NoReadyEndpoints", kstatus: kstatus.InProgress,
		},
		"suspended while all is well": {
			options: []gen.Option{gen.WithSuspend}, seen: healthy(),
			ready: "True Ready", available: up, allocated: held, reachable: answer, kstatus: kstatus.Current,
		},
		"suspended before anything was made": {
			options: []gen.Option{gen.WithSuspend}, seen: &Observed{},
			ready: "False Suspended", available: "False Suspended", allocated: "False Suspended",
			reachable: "False Suspended", kstatus: kstatus.InProgress,
		},
		"suspended before the port moved": {
			options: []gen.Option{gen.WithSuspend, gen.WithNodePort(31001)}, seen: healthy(),
			ready: "False Suspended", available: up, allocated: "False Suspended", reachable: answer,
			kstatus: kstatus.InProgress,
		},
		"suspended in the middle of a rollout": {
			options: []gen.Option{gen.WithSuspend},
			seen:    withDeployment(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 }),
			ready:   "False RolloutInProgress", available: up, allocated: held, reachable: answer,
			kstatus: kstatus.InProgress,
		},
	})
}

func runConditions(t *testing.T, tests map[string]conditionsCase) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			for _, before := range histories() {
				app := gen.ExposedApp("web", append([]gen.Option{gen.WithReplicas(3), gen.WithIdentity("9f3c", 4)},
					test.options...)...)
				app.Status = before

				app.Status = Of(app, test.seen, gen.At(1))

				expectInvariants(g, before, app, gen.At(1))
				if test.unobserved {
					g.Expect(app.Status.ObservedGeneration).To(Equal(before.ObservedGeneration))
				} else {
					g.Expect(app.Status.ObservedGeneration).To(Equal(app.Generation))
				}
				g.Expect(inShort(app.Status.Conditions)).To(Equal(test.inShort()))
				for kind, text := range test.messages {
					condition := meta.FindStatusCondition(app.Status.Conditions, kind)
					g.Expect(condition.Message).To(ContainSubstring(text), kind)
				}
				g.Expect(kstatus.Of(app)).To(Equal(test.kstatus))
				g.Expect(Of(app, test.seen, gen.At(2))).To(Equal(app.Status), "what did not change is not written")
			}
		})
	}
}

// histories are what the status may have been before: none, healthy, on the way
// and stalled, all of an older generation.
func histories() []v1alpha1.ExposedAppStatus {
	histories := []v1alpha1.ExposedAppStatus{{ObservedGeneration: -1}}
	app := gen.ExposedApp("web", gen.WithIdentity("9f3c", 3))
	for _, seen := range []*Observed{
		healthy(), {}, {ServiceError: &applyerror.Error{Reason: "PortConflict", Message: "taken", Stalled: true}},
	} {
		histories = append(histories, Of(app, seen, gen.At(0)))
	}
	return histories
}

// expectInvariants checks what holds of every status, whatever was observed.
func expectInvariants(g *WithT, before v1alpha1.ExposedAppStatus, app *v1alpha1.ExposedApp, now metav1.Time) {
	kinds := make(map[string]int)
	for _, condition := range app.Status.Conditions {
		kinds[condition.Type]++
		g.Expect(condition.ObservedGeneration).To(Equal(app.Generation), condition.Type)
		g.Expect(condition.Reason).To(MatchRegexp("^[A-Z][A-Za-z]+$"), condition.Type)
		g.Expect(condition.Message).NotTo(BeEmpty(), condition.Type)

		changed := now
		if old := meta.FindStatusCondition(before.Conditions, condition.Type); old != nil && old.Status == condition.Status {
			changed = old.LastTransitionTime
		}
		g.Expect(condition.LastTransitionTime).To(Equal(changed), "%s: its time moves with its status alone", condition.Type)
	}
	g.Expect(kinds).To(HaveEach(1))
	for _, always := range []string{"Ready", "Available", "PortAllocated", "Reachable"} {
		g.Expect(kinds).To(HaveKey(always))
	}
	for _, passing := range []string{"Reconciling", "Stalled"} {
		condition := meta.FindStatusCondition(app.Status.Conditions, passing)
		g.Expect(condition == nil || condition.Status == metav1.ConditionTrue).To(BeTrue(), passing)
	}
	g.Expect(kinds["Reconciling"]+kinds["Stalled"]).To(BeNumerically("<=", 1), "never both")
}

// inShort returns conditions as "Status Reason" by their type.
func inShort(conditions []metav1.Condition) map[string]string {
	short := make(map[string]string, len(conditions))
	for _, condition := range conditions {
		short[condition.Type] = string(condition.Status) + " " + condition.Reason
	}
	return short
}

func (c *conditionsCase) inShort() map[string]string {
	short := map[string]string{
		"Ready": c.ready, "Available": c.available, "PortAllocated": c.allocated, "Reachable": c.reachable,
	}
	if c.reconciling != "" {
		short["Reconciling"] = "True " + c.reconciling
	}
	if c.stalled != "" {
		short["Stalled"] = "True " + c.stalled
	}
	return short
}
