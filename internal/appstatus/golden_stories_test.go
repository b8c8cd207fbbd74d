package appstatus

import (
	"errors"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/test/gen"
)

// statusStories are all that can be said of an app, by name.
func statusStories() map[string]statusStory {
	stories := make(map[string]statusStory)
	for _, chapter := range []map[string]statusStory{
		storiesOfLife(), storiesOfPods(), storiesOfRefusals(), storiesOfNodes(),
	} {
		maps.Copy(stories, chapter)
	}
	return stories
}

func storiesOfLife() map[string]statusStory {
	midRollout := withDeployment(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 })
	suspended := []gen.Option{gen.WithSuspend}
	return map[string]statusStory{
		"fresh":                                {},
		"pending":                              {seen: &Observed{}},
		"pending-deployment":                   {seen: healthy(func(seen *Observed) { seen.Deployment = nil })},
		"ready":                                {seen: healthy()},
		"ready-again":                          {seen: judgedAs(gen.Unreachable("a"), gen.Reachable("b")), again: healthy()},
		"new-generation-not-observed":          {earlier: healthy()},
		"new-generation-not-observed-stalled":  {earlier: conflicting()},
		"deleting":                             {seen: healthy(), deleting: true},
		"deleting-stalled":                     {seen: conflicting(), deleting: true},
		"suspended-ready":                      {options: suspended, seen: healthy()},
		"suspended-before-anything-was-made":   {options: suspended, seen: &Observed{}},
		"suspended-before-the-port-moved":      {options: []gen.Option{gen.WithSuspend, gen.WithNodePort(31001)}, seen: healthy()},
		"suspended-mid-rollout":                {options: suspended, seen: midRollout},
		"suspended-with-a-node-out-of-reach":   {options: suspended, seen: judgedAs(gen.Reachable("a"), gen.Unreachable("b"))},
		"rollout-in-progress":                  {earlier: healthy(), seen: midRollout},
		"rollout-not-seen-by-its-controller":   {earlier: healthy(), seen: withDeployment(func(d *appsv1.Deployment) { d.Generation++ })},
		"rollout-finished-and-nobody-told-yet": {seen: judgedAs(gen.Unknown("a", "Pending"), gen.Unknown("b", "Pending"))},
	}
}

func storiesOfPods() map[string]statusStory {
	withoutEndpoints := func(seen *Observed) {
		seen.Endpoints = nil
		seen.Verdicts = []v1alpha1.NodeVerdict{because(gen.Unreachable("a"), "NoReadyEndpoints", "no pod of the app is ready")}
	}
	noneReady := func(deployment *appsv1.Deployment) {
		deployment.Status.ReadyReplicas, deployment.Status.AvailableReplicas = 0, 0
		deployment.Status.Conditions[0].Status = corev1.ConditionFalse
	}
	deadline := gen.Progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded")
	const noImage = `image "registry.example.com/web:1" cannot be pulled: ErrImagePull: registry.example.com/web:1: not found`
	return map[string]statusStory{
		"progress-deadline-exceeded":                      {seen: withDeployment(gen.Unavailable, deadline)},
		"progress-deadline-exceeded-and-older-pods-serve": {seen: withDeployment(deadline)},
		"crash-loop": {seen: healthy(withoutEndpoints, func(seen *Observed) {
			seen.Deployment = gen.RolledOut(3, noneReady)
		})},
		"crash-loop-of-the-first-pods": {seen: healthy(withoutEndpoints, func(seen *Observed) {
			seen.Deployment = gen.RolledOut(3, noneReady, gen.Progressing(corev1.ConditionTrue, "ReplicaSetUpdated"))
		})},
		"too-few-pods": {seen: withDeployment(gen.Unavailable)},
		"quota-exceeded": {seen: withDeployment(gen.Unavailable, func(d *appsv1.Deployment) {
			d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{
				Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota: pods",
			})
		})},
		"pods-not-allowed": {seen: healthy(withoutEndpoints, func(seen *Observed) {
			seen.Deployment = gen.RolledOut(3, noneReady, gen.Progressing(corev1.ConditionTrue, "NewReplicaSetCreated"))
			seen.Deployment.Status.Replicas, seen.Deployment.Status.UpdatedReplicas = 0, 0
			seen.Deployment.Status.Conditions = append(seen.Deployment.Status.Conditions, appsv1.DeploymentCondition{
				Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue,
				Message: `pods "web-5c-x2x7k" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true ` +
					`(pod or container "app" must set securityContext.runAsNonRoot=true)`,
			})
		})},
		"image-not-there": {seen: healthy(withoutEndpoints, func(seen *Observed) {
			seen.Deployment = gen.RolledOut(3, noneReady, gen.Progressing(corev1.ConditionTrue, "ReplicaSetUpdated"))
			seen.PodTrouble = noImage
		})},
		"image-not-there-and-older-pods-serve": {
			earlier: healthy(), seen: lacking(noImage, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas, d.Status.Replicas = 1, 4 }),
		},
		"image-not-there-for-too-long": {seen: lacking(noImage, gen.Unavailable, deadline)},
		"too-little-room": {earlier: healthy(), seen: lacking("no node takes a pod: 0/3 nodes are available: 3 Insufficient cpu.",
			func(d *appsv1.Deployment) { d.Status.ReadyReplicas, d.Status.AvailableReplicas = 2, 2 })},
		"rollout-paused": {earlier: healthy(), seen: withDeployment(gen.Paused,
			func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 })},
		"ready-while-rollouts-are-paused": {seen: withDeployment(gen.Paused)},
		"ready-while-somebody-else-scales": {seen: healthy(func(seen *Observed) {
			seen.Rival = "a HorizontalPodAutoscaler (kube-controller-manager)"
		})},
		"scaled-to-zero": {options: []gen.Option{gen.WithReplicas(0)}, seen: healthy(withoutEndpoints, func(seen *Observed) {
			seen.Deployment = gen.RolledOut(0)
		})},
		"no-ready-endpoints": {seen: healthy(withoutEndpoints)},
	}
}

func storiesOfRefusals() map[string]statusStory {
	nodePort := field.NewPath("spec", "ports").Index(0).Child("nodePort")
	outOfRange := gen.InvalidService(field.Invalid(nodePort, 40000,
		"provided port is not in the valid range. The range of valid ports is 30000-32767"))
	app := gen.ExposedApp("web", gen.WithNodePort(40000))
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "web", errors.New("terminating"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	overQuota := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "web",
		errors.New("exceeded quota: few, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1"))
	busy := func(kind string) *applyerror.Error {
		return applyerror.Of(kind, errors.New("etcdserver: request timed out"))
	}

	withoutService := func(refusal *applyerror.Error) *Observed {
		return healthy(func(seen *Observed) { seen.Service, seen.Verdicts, seen.ServiceError = nil, nil, refusal })
	}
	withoutDeployment := func(refusal *applyerror.Error) *Observed {
		return healthy(func(seen *Observed) { seen.Deployment, seen.DeploymentError = nil, refusal })
	}
	return map[string]statusStory{
		"port-conflict": {options: []gen.Option{gen.WithNodePort(31000)}, seen: conflicting()},
		"port-conflict-while-another-is-held": {
			options: []gen.Option{gen.WithNodePort(31001)}, earlier: healthy(),
			seen: healthy(func(seen *Observed) { seen.ServiceError = taken(31001) }),
		},
		"port-conflict-whose-holder-leaves": {
			options: []gen.Option{gen.WithNodePort(31000)},
			seen: withoutService(&applyerror.Error{
				Reason:  "PortConflict",
				Message: "31000 is held by Service shop/cart, which is being deleted: waiting for the port",
			}),
		},
		"port-out-of-range": {
			options: []gen.Option{gen.WithNodePort(40000)},
			seen:    withoutService(applyerror.OfService(app, 40000, outOfRange)),
		},
		"port-conflict-whose-holder-moves": {
			options: []gen.Option{gen.WithNodePort(31001)}, earlier: healthy(),
			seen: healthy(func(seen *Observed) {
				seen.ServiceError = &applyerror.Error{
					Reason:  "PortConflict",
					Message: "31001 is held by Service shop/cart, which is about to move to another: waiting for the port",
				}
			}),
		},
		"port-conflict-with-an-app-that-may-move": {
			options: []gen.Option{gen.WithNodePort(31001)}, earlier: healthy(),
			seen: healthy(func(seen *Observed) {
				seen.ServiceError = taken(31001)
				seen.ServiceError.Stalled = false
			}),
		},
		"children-of-a-former-app": {seen: &Observed{
			DeploymentError: applyerror.NameOccupied("Deployment", "default", "web", "is of a former ExposedApp of this name, and about to be deleted"),
			ServiceError:    applyerror.NameOccupied("Service", "default", "web", "is being deleted"),
		}},
		"refused-by-a-quota": {
			options: []gen.Option{gen.WithNodePort(31000)}, seen: withoutService(applyerror.Of("Service", overQuota)),
		},
		"refused-for-what-others-changed": {seen: healthy(func(seen *Observed) {
			seen.DeploymentError = applyerror.Of("Deployment", applyerror.Drifted(gen.InvalidService(field.Invalid(nodePort, 1, "no"))))
		})},
		"name-conflict-of-the-deployment": {seen: withoutDeployment(applyerror.NameConflict("Deployment", "default", "web"))},
		"name-conflict-of-the-service":    {seen: withoutService(applyerror.NameConflict("Service", "default", "web"))},
		"invalid-app": {
			seen: withoutDeployment(applyerror.Of("Deployment", apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"},
				"web", field.ErrorList{field.Duplicate(field.NewPath("spec", "env"), "A")}))),
		},
		"invalid-app-and-an-older-one-serves": {
			earlier: healthy(), seen: healthy(func(seen *Observed) {
				seen.ServiceError = applyerror.Of("Service", gen.InvalidField())
			}),
		},
		"apply-failed": {
			seen: &Observed{DeploymentError: busy("Deployment"), ServiceError: busy("Service")},
		},
		"apply-failed-of-a-new-generation": {
			earlier: healthy(), seen: healthy(func(seen *Observed) { seen.DeploymentError = busy("Deployment") }),
		},
		"apply-failed-while-all-is-well": {
			seen: healthy(), again: healthy(func(seen *Observed) { seen.DeploymentError = busy("Deployment") }),
		},
		"apply-failed-and-port-conflict": {
			options: []gen.Option{gen.WithNodePort(31000)},
			seen:    &Observed{DeploymentError: busy("Deployment"), ServiceError: taken(31000)},
		},
		"apply-failed-in-a-namespace-that-goes": {
			seen: &Observed{DeploymentError: applyerror.Of("Deployment", terminating), ServiceError: applyerror.Of("Service", terminating)},
		},
		"port-conflict-in-a-namespace-that-goes": {
			options: []gen.Option{gen.WithNodePort(31000)},
			seen:    &Observed{DeploymentError: applyerror.Of("Deployment", terminating), ServiceError: taken(31000)},
		},
	}
}

func storiesOfNodes() map[string]statusStory {
	needs := func(minimum string) []gen.Option { return []gen.Option{gen.WithMinReachable(intstr.Parse(minimum))} }
	out := func(node, reason, message string) v1alpha1.NodeVerdict {
		return because(gen.Unreachable(node), reason, message)
	}
	spared := func(verdict v1alpha1.NodeVerdict, reason, message string) v1alpha1.NodeVerdict {
		return because(gen.Excused(verdict), reason, message)
	}
	return map[string]statusStory{
		"node-unreachable": {seen: judgedAs(gen.Reachable("a"), gen.Unreachable("b"), gen.Reachable("c"))},
		"nodes-unreachable-in-every-way": {seen: judgedAs(
			out("a", "ConnectionRefused", "b, c (ConnectionRefused: connect: connection refused)"),
			out("b", "ConnectionReset", "a, c (ConnectionReset: read: connection reset by peer)"),
			out("c", "Timeout", "a, b (Timeout: i/o timeout)"),
			out("d", "NoRoute", "a, b (NoRoute: connect: no route to host)"),
			out("e", "HTTPStatus", "a, b (HTTPStatus: 503 Service Unavailable)"),
			out("f", "ProtocolError", "a, b (ProtocolError: malformed HTTP response)"),
			out("g", "NotServed", "200 OK, and no pod of the app is ready: something else holds the port on the node"),
			out("h", "OutsideUnreachable", "reached from a, b, but not from lab (Timeout: i/o timeout), outside of the cluster"),
			out("i", "Other", "not from a, b (Other: as a newer agent says)"),
		)},
		"node-unreachable-from-outside": {seen: judgedAs(gen.Reachable("a"), seenOutside(out("b", "OutsideUnreachable",
			"reached from a, c, but not from lab (Timeout: i/o timeout), outside of the cluster"), "0/1"))},
		"nodes-behind-a-socket-load-balancer": {seen: judgedAs(translated("a"), translated("b"), translated("c"))},
		"some-behind-a-socket-load-balancer": {options: needs("1"), seen: judgedAs(
			seenOutside(gen.Reachable("a"), "1/1"), translated("b"), translated("c"))},
		"node-unreachable-behind-a-socket-load-balancer": {seen: judgedAs(translated("a"),
			seenOutside(out("b", "Timeout", "not from lab (Timeout: i/o timeout), outside of the cluster"), "0/1"))},
		"node-answers-without-a-pod": {seen: healthy(func(seen *Observed) {
			seen.Endpoints = nil
			seen.Verdicts = []v1alpha1.NodeVerdict{out("a", "NotServed",
				"200 OK, and no pod of the app is ready: something else holds the port on the node")}
		})},
		"node-partially-reachable": {seen: judgedAs(gen.Reachable("a"), gen.Reachable("b"),
			out("c", "PartiallyReachable", "reached from a, but not from b (Timeout: i/o timeout)"))},
		"node-without-observer":    {seen: judgedAs(gen.Reachable("a"), gen.Unknown("b", "NoObserver"))},
		"node-pending":             {seen: judgedAs(gen.Reachable("a"), gen.Unknown("b", "Pending"))},
		"node-unreachable-at-hand": {seen: judgedAs(gen.Unreachable("a"), gen.Unknown("b", "NoObserver"), gen.Unknown("c", "Pending"))},
		"ready-from-self-only": {seen: judgedAs(because(gen.Reachable("a"), "ReachableFromSelfOnly",
			"the only node of the cluster answers itself; nobody else can confirm it"))},
		"ready-with-a-suspect-observer": {seen: judgedAs(gen.Reachable("a"), because(gen.Reachable("b"), "SuspectObserver",
			"c reaches no other node, and is set aside"))},
		"ready-with-nodes-not-expected": {seen: judgedAs(gen.Reachable("a"),
			spared(gen.Unreachable("b"), "NodeNotReady", "the Node is not Ready"),
			spared(gen.Unreachable("c"), "NodeDeleting", "the Node is being deleted"),
			spared(gen.Unknown("d", ""), "NoAddress", "the Node has no usable IPv4 address"),
			spared(gen.Unreachable("e"), "NoLocalEndpoint",
				"externalTrafficPolicy is Local and no ready pod of the app is on the node"),
			spared(gen.Reachable("f"), "UnexpectedAnswer", "the node answers, though it should drop what comes"),
			spared(gen.Unreachable("g"), "NodeExcluded", "left out by its labels: see spec.expectedNodes"))},
		"no-expected-nodes":            {seen: judgedAs(spared(gen.Unreachable("a"), "NodeNotReady", "the Node is not Ready"))},
		"ready-with-as-many-as-needed": {options: needs("2"), seen: judgedAs(gen.Reachable("a"), gen.Unreachable("b"), gen.Reachable("c"))},
		"ready-whatever-nodes-say":     {options: needs("0"), seen: judgedAs(gen.Unreachable("a"))},
		"fewer-nodes-than-needed":      {options: needs("4"), seen: healthy()},
		"too-many-unknown": {options: needs("2"),
			seen: judgedAs(gen.Reachable("a"), gen.Unreachable("b"), gen.Unknown("c", "NoObserver"))},
	}
}

// because gives a verdict another reason and message.
func because(verdict v1alpha1.NodeVerdict, reason, message string) v1alpha1.NodeVerdict {
	verdict.Reason, verdict.Message = reason, message
	return verdict
}

// translated is a verdict on a node that no dial of an observer leaves for.
func translated(node string) v1alpha1.NodeVerdict {
	return because(gen.Unknown(node, ""), "TranslatedAtSource",
		"c's dial of 10.0.0.1:31000 went to 10.244.1.7:9898: a socket load balancer on the observer (Cilium, Calico eBPF)")
}

// seenOutside gives a verdict the words of observers out of the cluster.
func seenOutside(verdict v1alpha1.NodeVerdict, count string) v1alpha1.NodeVerdict {
	verdict.Outside = count
	return verdict
}
