package appstatus

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

func TestConditionsOfARefusal(t *testing.T) {
	const (
		up     = "True MinimumReplicasAvailable"
		held   = "True Allocated"
		answer = "True AllReachable"
	)
	taken := &applyerror.Error{Reason: "PortConflict", Message: "31001 is held by Service shop/web", Stalled: true}
	leaving := &applyerror.Error{Reason: "PortConflict", Message: "31000 is held by Service shop/web, which is being deleted"}
	busy := applyerror.Of("Deployment", errors.New("busy"))
	runConditions(t, map[string]conditionsCase{
		"the Deployment's name is taken": {
			seen: healthy(func(seen *Observed) {
				seen.Deployment, seen.DeploymentError = nil, applyerror.NameConflict("Deployment", "shop", "web")
			}),
			ready: "False NameConflict", available: "False NameConflict", allocated: held, reachable: answer,
			stalled: "NameConflict", kstatus: kstatus.Failed,
			messages: map[string]string{"Ready": "Deployment shop/web", "Stalled": "Deployment shop/web"},
		},
		"the Service's name is taken": {
			seen: healthy(func(seen *Observed) {
				seen.Service, seen.Verdicts, seen.ServiceError = nil, nil, applyerror.NameConflict("Service", "shop", "web")
			}),
			ready: "False NameConflict", available: up, allocated: "False NameConflict",
			reachable: "False NameConflict", stalled: "NameConflict", kstatus: kstatus.Failed,
			messages: map[string]string{"PortAllocated": "Service shop/web"},
		},
		"the port is taken": {
			options: []gen.Option{gen.WithNodePort(31001)},
			seen: healthy(func(seen *Observed) {
				seen.Service, seen.Verdicts, seen.ServiceError = nil, nil, taken
			}),
			ready: "False PortConflict", available: up, allocated: "False PortConflict",
			reachable: "False PortConflict", stalled: "PortConflict", kstatus: kstatus.Failed,
			messages: map[string]string{"Ready": "held by Service shop/web", "Reachable": "held by Service shop/web"},
		},
		"the port to move to is taken": {
			options: []gen.Option{gen.WithNodePort(31001)},
			seen:    healthy(func(seen *Observed) { seen.ServiceError = taken }),
			ready:   "False PortConflict", available: up, allocated: "False PortConflict", reachable: answer,
			stalled: "PortConflict", kstatus: kstatus.Failed,
			messages: map[string]string{
				"PortAllocated": "shop/web; the Service still holds 31000", "Reachable": "node port 31000",
			},
		},
		"the port is about to be free": {
			seen: healthy(func(seen *Observed) {
				seen.Service, seen.Verdicts, seen.ServiceError = nil, nil, leaving
			}),
			ready: "False PortConflict", available: up, allocated: "False PortConflict",
			reachable: "False PortConflict", reconciling: "PortConflict", kstatus: kstatus.InProgress,
		},
		"another revision of the app is invalid": {
			seen: healthy(func(seen *Observed) {
				seen.DeploymentError = applyerror.Of("Deployment", gen.InvalidField())
			}),
			ready: "False InvalidApp", available: up, allocated: held, reachable: answer,
			stalled: "InvalidApp", kstatus: kstatus.Failed,
		},
		"another form of the Service is invalid": {
			seen:  healthy(func(seen *Observed) { seen.ServiceError = applyerror.Of("Service", gen.InvalidField()) }),
			ready: "False InvalidApp", available: up, allocated: held, reachable: answer,
			stalled: "InvalidApp", kstatus: kstatus.Failed,
		},
		"the API server is busy": {
			seen:  &Observed{DeploymentError: busy, ServiceError: applyerror.Of("Service", errors.New("busy"))},
			ready: "False ApplyFailed", available: "False ApplyFailed", allocated: "False ApplyFailed",
			reachable: "False ApplyFailed", reconciling: "ApplyFailed", kstatus: kstatus.InProgress, unobserved: true,
			messages: map[string]string{"Ready": "cannot apply the Deployment", "Reachable": "cannot apply the Service"},
		},
		"the API server is busy at the Deployment, and all was well": {
			seen:  healthy(func(seen *Observed) { seen.DeploymentError = busy }),
			ready: "False ApplyFailed", available: up, allocated: held, reachable: answer,
			reconciling: "ApplyFailed", kstatus: kstatus.InProgress, unobserved: true,
		},
		"the API server is busy at the Service, and all was well": {
			seen:  healthy(func(seen *Observed) { seen.ServiceError = applyerror.Of("Service", errors.New("busy")) }),
			ready: "False ApplyFailed", available: up, allocated: held, reachable: answer,
			reconciling: "ApplyFailed", kstatus: kstatus.InProgress, unobserved: true,
		},
		"a human must edit one, and the other is tried again": {
			seen:  &Observed{DeploymentError: busy, ServiceError: taken},
			ready: "False ApplyFailed", available: "False ApplyFailed", allocated: "False PortConflict",
			reachable: "False PortConflict", stalled: "PortConflict", kstatus: kstatus.InProgress, unobserved: true,
		},
	})
}

// What is there stays as it is when the API server is busy later on.
func TestConditionsOfATryThatFails(t *testing.T) {
	busy := func(kind string) *applyerror.Error { return applyerror.Of(kind, errors.New("busy")) }
	tests := map[string]struct {
		seen  *Observed
		ready string
	}{
		"at the Deployment": {
			seen: healthy(func(seen *Observed) { seen.DeploymentError = busy("Deployment") }), ready: "True Ready",
		},
		"at the Service": {
			seen: healthy(func(seen *Observed) { seen.ServiceError = busy("Service") }), ready: "True Ready",
		},
		"at a Deployment that is gone": {
			seen:  healthy(func(seen *Observed) { seen.Deployment, seen.DeploymentError = nil, busy("Deployment") }),
			ready: "False ApplyFailed",
		},
		"at a Service that is gone": {
			seen: healthy(func(seen *Observed) {
				seen.Service, seen.Verdicts, seen.ServiceError = nil, nil, busy("Service")
			}),
			ready: "False ApplyFailed",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			app := gen.ExposedApp("web", gen.WithReplicas(3), gen.WithIdentity("9f3c", 4))
			before := Of(app, healthy(), gen.At(0))
			app.Status = before
			app.Status = Of(app, test.seen, gen.At(1))
			expectInvariants(g, before, app, gen.At(1))
			g.Expect(app.Status.ObservedGeneration).To(Equal(app.Generation))
			g.Expect(inShort(app.Status.Conditions)).To(SatisfyAll(
				HaveKeyWithValue("Ready", test.ready), HaveKeyWithValue("Reconciling", "True ApplyFailed")))
			g.Expect(kstatus.Of(app)).To(Equal(kstatus.InProgress))
		})
	}
}
