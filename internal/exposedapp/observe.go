package exposedapp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/compact"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// observed is everything that a status is made of. A child that is missing or
// somebody else's is nil; its refusal says why it is not as declared.
type observed struct {
	deployment        *appsv1.Deployment
	deploymentRefusal *refusal
	service           *corev1.Service
	serviceRefusal    *refusal
	endpoints         reachability.Endpoints
	verdicts          []v1alpha1.NodeVerdict

	// trouble is why pods are not ready, and rival who sets the Deployment's replicas
	// again and again. Both are empty where that is not known.
	trouble, rival string
}

// observe gathers what is there after the children were applied or refused.
func (r *Reconciler) observe(ctx context.Context, app *v1alpha1.ExposedApp, seen *observed) error {
	var unreadable *refusal
	if seen.deployment, unreadable = get(ctx, r.Client, app, "Deployment", &appsv1.Deployment{}); unreadable.err() != nil {
		return unreadable.err()
	}
	if seen.service, unreadable = get(ctx, r.Client, app, "Service", &corev1.Service{}); unreadable.err() != nil {
		return unreadable.err()
	}
	if seen.service == nil {
		return nil
	}
	endpointSlices, err := r.slices.find(client.ObjectKeyFromObject(app).String())
	if err != nil {
		return fmt.Errorf("endpoint slices: %w", err)
	}
	seen.endpoints = endpointsOf(endpointSlices)
	return nil
}

// judge has the nodes judged and returns the status that comes of all that was
// seen. holds is how long that stays true if nothing is heard, 0 for good.
func (r *Reconciler) judge(
	app *v1alpha1.ExposedApp, seen *observed, now time.Time,
) (next v1alpha1.ExposedAppStatus, holds time.Duration) {
	key := client.ObjectKeyFromObject(app)
	r.judging.Lock()
	defer r.judging.Unlock()
	if seen.service == nil {
		r.Matrix.Forget(key)
	} else {
		r.Matrix.Observe(key, subject(app, seen), now)
		r.verdicts, holds = r.Matrix.AppendVerdicts(r.verdicts[:0], key, now)
		seen.verdicts = r.verdicts
	}
	return status(app, seen, metav1.NewTime(now)), holds
}

// holdback returns the refusal by which what is declared is not there. A try
// that failed does no harm to what an earlier one applied.
func (o *observed) holdback(app *v1alpha1.ExposedApp) *refusal {
	applied := app.Status.ObservedGeneration == app.Generation
	if o.deploymentRefusal != nil && (o.deploymentRefusal.retry == nil || o.deployment == nil || !applied) {
		return o.deploymentRefusal
	}
	if o.serviceRefusal != nil && (o.serviceRefusal.retry == nil || o.service == nil || !applied) {
		return o.serviceRefusal
	}
	return nil
}

// applied tells whether both children are as declared, or never will be unless a
// human edits something.
func (o *observed) applied() bool {
	return o.deploymentRefusal.err() == nil && o.serviceRefusal.err() == nil
}

// subject is what the rules of reachability need to know of an app.
func subject(app *v1alpha1.ExposedApp, seen *observed) reachability.App {
	spec := &seen.service.Spec
	families := make([]string, 0, len(spec.IPFamilies))
	for _, family := range spec.IPFamilies {
		families = append(families, string(family))
	}
	identity := reachability.Service{
		UID:                   seen.service.UID,
		NodePort:              heldPort(seen.service),
		ExternalTrafficPolicy: spec.ExternalTrafficPolicy,
		Families:              strings.Join(families, ","),
		Probe:                 remarkOn(seen.service).text,
	}
	if port := ownPort(seen.service); port != nil {
		identity.Port = port.Port
		identity.TargetPort = port.TargetPort.String()
	}
	return reachability.App{
		Service:         identity,
		ResourceVersion: seen.service.ResourceVersion,
		Families:        spec.IPFamilies,
		Endpoints:       seen.endpoints,
		Expected:        expectedNodes(app),
		Period:          time.Duration(app.Spec.Probe.PeriodSeconds) * time.Second,
		Known:           app.Status.ObservedGeneration > 0 && app.Status.NodePort == identity.NodePort,
		Disputed:        disputed(app.Status.Nodes),
	}
}

// expectedNodes returns what selects the nodes that are expected to answer, nil for all.
func expectedNodes(app *v1alpha1.ExposedApp) labels.Selector {
	if app.Spec.ExpectedNodes == nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(app.Spec.ExpectedNodes)
	if err != nil {
		// The CRD admits none that cannot be read; leave out no node otherwise.
		return nil
	}
	return selector
}

// disputed returns the addresses of the nodes that not every observer reaches.
func disputed(nodes []v1alpha1.NodeVerdict) map[netip.Addr]bool {
	var addresses map[netip.Addr]bool
	for i := range nodes {
		switch nodes[i].Reason {
		case v1alpha1.ReasonPartiallyReachable, v1alpha1.ReasonSuspectObserver, v1alpha1.ReasonOutsideUnreachable:
		default:
			continue
		}
		if address, err := netip.ParseAddr(nodes[i].Address); err == nil {
			if addresses == nil {
				addresses = make(map[netip.Addr]bool)
			}
			addresses[address] = true
		}
	}
	return addresses
}

// endpointsOf returns the nodes that run a pod which can serve, per IP family,
// and whether one there is ready.
func endpointsOf(items []*discoveryv1.EndpointSlice) reachability.Endpoints {
	var endpoints reachability.Endpoints
	for i := range items {
		for _, endpoint := range items[i].Endpoints {
			ready := ptr.Deref(endpoint.Conditions.Ready, true)
			if !ready && !ptr.Deref(endpoint.Conditions.Serving, ready) {
				continue
			}
			found := reachability.Endpoint{
				Family: corev1.IPFamily(items[i].AddressType), Node: ptr.Deref(endpoint.NodeName, ""), Ready: ready,
			}
			at, known := slices.BinarySearchFunc(endpoints, found, reachability.Endpoint.Compare)
			if !known {
				endpoints = slices.Insert(endpoints, at, found)
			}
			endpoints[at].Ready = endpoints[at].Ready || ready
		}
	}
	return compact.Slice(endpoints)
}
