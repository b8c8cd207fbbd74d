package appstatus

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

func TestConditionsOfTheNodes(t *testing.T) {
	const (
		up   = "True MinimumReplicasAvailable"
		held = "True Allocated"
	)
	needs := func(minimum string) []gen.Option { return []gen.Option{gen.WithMinReachable(intstr.Parse(minimum))} }
	runConditions(t, map[string]conditionsCase{
		"one does not answer": {
			seen:  judgedAs(gen.Reachable("a"), gen.Unreachable("b"), gen.Reachable("c")),
			ready: "False NodesUnreachable", available: up, allocated: held, reachable: "False NodesUnreachable",
			kstatus: kstatus.InProgress,
			messages: map[string]string{
				"Reachable": "2/3 of the expected nodes answer; b: Timeout: b, c (Timeout: i/o timeout)",
				"Ready":     "2/3 of the expected nodes answer, 3 must: ",
			},
		},
		"the first of the worst is named": {
			seen:  judgedAs(gen.Unknown("a", "NoObserver"), gen.Unreachable("b"), gen.Unreachable("c")),
			ready: "False NodesUnreachable", available: up, allocated: held, reachable: "False NodesUnreachable",
			kstatus: kstatus.InProgress, messages: map[string]string{"Reachable": "; b: Timeout"},
		},
		"one is not known about": {
			seen:  judgedAs(gen.Reachable("a"), gen.Unknown("b", "NoObserver"), gen.Reachable("c")),
			ready: "Unknown NoObserver", available: up, allocated: held, reachable: "Unknown NoObserver",
			kstatus:  kstatus.InProgress,
			messages: map[string]string{"Reachable": "2/3 of the expected nodes are known to answer; b: nobody tells"},
		},
		"one is not known about yet": {
			seen:  judgedAs(gen.Reachable("a"), gen.Unknown("b", "Pending"), gen.Reachable("c")),
			ready: "Unknown Pending", available: up, allocated: held, reachable: "Unknown Pending",
			reconciling: "Pending", kstatus: kstatus.InProgress,
		},
		"one that is not expected to does not answer": {
			seen:  judgedAs(gen.Excused(gen.Unreachable("a")), gen.Reachable("b"), gen.Reachable("c")),
			ready: "True Ready", available: up, allocated: held, reachable: "True AllReachable",
			kstatus: kstatus.Current, messages: map[string]string{"Ready": "2/2"},
		},
		"none is expected to answer": {
			seen:  judgedAs(gen.Excused(gen.Unreachable("a")), gen.Excused(gen.Reachable("b"))),
			ready: "False NoExpectedNodes", available: up, allocated: held, reachable: "Unknown NoExpectedNodes",
			kstatus: kstatus.InProgress,
		},
		"there is none": {
			seen:  judgedAs(),
			ready: "False NoExpectedNodes", available: up, allocated: held, reachable: "Unknown NoExpectedNodes",
			kstatus: kstatus.InProgress,
		},
		"the only one answers itself": {
			seen: judgedAs(v1alpha1.NodeVerdict{
				Node: "a", Family: "IPv4", Expected: true, State: "Reachable", Reason: "ReachableFromSelfOnly",
				Message: "nobody else can confirm it",
			}),
			ready: "True Ready", available: up, allocated: held, reachable: "True ReachableFromSelfOnly",
			kstatus: kstatus.Current, messages: map[string]string{"Reachable": "nobody else can confirm it"},
		},
		"none can answer without a ready pod": {
			seen: healthy(func(seen *Observed) {
				seen.Endpoints = nil
				seen.Verdicts = []v1alpha1.NodeVerdict{gen.Unreachable("a"), gen.Unknown("b", "Pending")}
			}),
			ready: "False NoReadyEndpoints", available: up, allocated: held, reachable: "False NoReadyEndpoints",
			reconciling: "Pending", kstatus: kstatus.InProgress,
		},
		"as many answer as must, in number": {
			options: needs("2"), seen: judgedAs(gen.Reachable("a"), gen.Unreachable("b"), gen.Reachable("c")),
			ready: "True Ready", available: up, allocated: held, reachable: "False NodesUnreachable",
			kstatus: kstatus.Current,
		},
		"fewer answer than must, in number": {
			options: needs("4"), seen: judgedAs(gen.Reachable("a"), gen.Reachable("b"), gen.Reachable("c")),
			ready: "False AllReachable", available: up, allocated: held, reachable: "True AllReachable",
			kstatus: kstatus.InProgress, messages: map[string]string{"Ready": "3/3 of the expected nodes answer, 4 must"},
		},
		"as many may answer as must": {
			options: needs("2"), seen: judgedAs(gen.Reachable("a"), gen.Unreachable("b"), gen.Unknown("c", "NoObserver")),
			ready: "Unknown NodesUnreachable", available: up, allocated: held, reachable: "False NodesUnreachable",
			kstatus: kstatus.InProgress,
		},
		"too few may answer": {
			options: needs("2"), seen: judgedAs(gen.Unreachable("a"), gen.Unreachable("b"), gen.Unknown("c", "NoObserver")),
			ready: "False NodesUnreachable", available: up, allocated: held, reachable: "False NodesUnreachable",
			kstatus: kstatus.InProgress,
		},
		"none must answer": {
			options: needs("0"), seen: judgedAs(gen.Unreachable("a"), gen.Unreachable("b")),
			ready: "True Ready", available: up, allocated: held, reachable: "False NodesUnreachable",
			kstatus: kstatus.Current, messages: map[string]string{"Ready": "0/2"},
		},
		"none must answer, and nobody tells": {
			options: needs("0%"), seen: judgedAs(gen.Unknown("a", "NoObserver")),
			ready: "True Ready", available: up, allocated: held, reachable: "Unknown NoObserver",
			kstatus: kstatus.Current,
		},
	})
}
