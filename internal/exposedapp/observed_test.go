package exposedapp

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/test/gen"
)

func healthy(changes ...func(*observed)) *observed {
	seen := &observed{
		deployment: gen.RolledOut(3),
		service:    gen.ServiceHolding(31000),
		endpoints:  on("a"),
		verdicts:   []v1alpha1.NodeVerdict{gen.Reachable("a"), gen.Reachable("b"), gen.Reachable("c")},
	}
	for _, change := range changes {
		change(seen)
	}
	return seen
}

func withDeployment(changes ...func(*appsv1.Deployment)) *observed {
	return healthy(func(seen *observed) { seen.deployment = gen.RolledOut(3, changes...) })
}

// lacking returns what is observed where it is known why pods are not ready.
func lacking(why string, changes ...func(*appsv1.Deployment)) *observed {
	seen := withDeployment(changes...)
	seen.trouble = why
	return seen
}

func judgedAs(verdicts ...v1alpha1.NodeVerdict) *observed {
	return healthy(func(seen *observed) { seen.verdicts = verdicts })
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
func conflicting() *observed {
	return healthy(func(seen *observed) { seen.service, seen.verdicts, seen.serviceRefusal = nil, nil, taken(31000) })
}
