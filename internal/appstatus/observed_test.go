package appstatus

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/test/gen"
)

// healthy is what is observed of an app that three nodes answer for.
func healthy(changes ...func(*Observed)) *Observed {
	seen := &Observed{
		Deployment: gen.RolledOut(3),
		Service:    gen.ServiceHolding(31000),
		Endpoints:  reachability.Endpoints{{Family: corev1.IPv4Protocol, Node: "a", Ready: true}},
		Verdicts:   []v1alpha1.NodeVerdict{gen.Reachable("a"), gen.Reachable("b"), gen.Reachable("c")},
	}
	for _, change := range changes {
		change(seen)
	}
	return seen
}

func withDeployment(changes ...func(*appsv1.Deployment)) *Observed {
	return healthy(func(seen *Observed) { seen.Deployment = gen.RolledOut(3, changes...) })
}

// lacking returns what is observed where it is known why pods are not ready.
func lacking(why string, changes ...func(*appsv1.Deployment)) *Observed {
	seen := withDeployment(changes...)
	seen.PodTrouble = why
	return seen
}

func judgedAs(verdicts ...v1alpha1.NodeVerdict) *Observed {
	return healthy(func(seen *Observed) { seen.Verdicts = verdicts })
}

// taken is a node port that another Service holds.
func taken(nodePort int32) *applyerror.Error {
	return &applyerror.Error{
		Reason: "PortConflict",
		Message: strconv.Itoa(int(nodePort)) + " is held by Service shop/cart: free it there, set spec.nodePort " +
			"to another port, or leave it out to have one picked",
		Stalled: true,
	}
}

// conflicting is an app whose node port 31000 is taken.
func conflicting() *Observed {
	return healthy(func(seen *Observed) { seen.Service, seen.Verdicts, seen.ServiceError = nil, nil, taken(31000) })
}
