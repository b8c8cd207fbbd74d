package exposedapp

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/appstatus"
	"github.com/exposedapp/exposedapp/internal/compact"
	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// appState is what the rules of reachability need to know of an app.
func appState(app *v1alpha1.ExposedApp, seen *appstatus.Observed) reachability.App {
	spec := &seen.Service.Spec
	families := make([]string, 0, len(spec.IPFamilies))
	for _, family := range spec.IPFamilies {
		families = append(families, string(family))
	}
	identity := reachability.Service{
		UID:                   seen.Service.UID,
		NodePort:              workload.HeldPort(seen.Service),
		ExternalTrafficPolicy: spec.ExternalTrafficPolicy,
		Families:              strings.Join(families, ","),
		Probe:                 operatorcache.CompactMetaOf(seen.Service).Text,
	}
	if port := workload.OwnPort(seen.Service); port != nil {
		identity.Port = port.Port
		identity.TargetPort = port.TargetPort.String()
	}
	return reachability.App{
		Service:         identity,
		ResourceVersion: seen.Service.ResourceVersion,
		Families:        spec.IPFamilies,
		Endpoints:       seen.Endpoints,
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
	return compact.Shrink(endpoints)
}
