package operatorcache

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/appstatus"
	"github.com/exposedapp/exposedapp/internal/compact"
	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/ssa"
	"github.com/exposedapp/exposedapp/internal/trouble"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// Transform returns the cache transform. It changes objects in place, and must be idempotent:
// informers call it again for objects that it has trimmed.
func Transform() toolscache.TransformFunc {
	fields := ssa.NewFieldSets()
	return func(object any) (any, error) {
		switch object := object.(type) {
		case *appsv1.Deployment:
			trimDeployment(object, fields)
		case *corev1.Service:
			trimService(object, fields)
		case *corev1.Node:
			trimNode(object)
		case *discoveryv1.EndpointSlice:
			trimEndpointSlice(object)
		}
		return object, nil
	}
}

// trimApp keeps what is declared and the status, in no more room than that takes: a
// decoder leaves up to half of a slice empty, and thousands of apps name the same nodes.
// Messages of conditions name the node port, and so are each app's own.
func trimApp(app *v1alpha1.ExposedApp) {
	app.ManagedFields, app.Labels, app.Annotations = nil, nil, nil
	app.OwnerReferences, app.Finalizers = nil, nil
	app.Status.Conditions = compact.Shrink(app.Status.Conditions)
	app.Status.Nodes = compact.Shrink(app.Status.Nodes)
	compact.Intern(&app.Namespace, &app.Spec, &app.Status.Nodes)
	for i := range app.Status.Conditions {
		condition := &app.Status.Conditions[i]
		compact.Intern(&condition.Type, &condition.Status, &condition.Reason)
	}
}

// trimDeployment keeps the identity of a foreign Deployment. Of our own it keeps how
// many pods there are, what the operator applied as a digest, and who else set replicas.
func trimDeployment(deployment *appsv1.Deployment, fields ssa.FieldSets) {
	if trimmed(deployment) {
		return
	}
	CompactMeta{Digest: ssa.OwnedDigest(deployment, fields, ""), Text: replicasManager(deployment, fields)}.Store(deployment)
	compact.Intern(&deployment.Namespace)
	trimOwners(deployment)
	spec, status := deployment.Spec, deployment.Status
	deployment.Spec, deployment.Status = appsv1.DeploymentSpec{}, appsv1.DeploymentStatus{}
	if !workload.Owned(deployment) {
		return
	}
	deployment.Spec.Replicas, deployment.Spec.Paused = spec.Replicas, spec.Paused
	deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: status.ObservedGeneration,
		Replicas:           status.Replicas,
		UpdatedReplicas:    status.UpdatedReplicas,
		ReadyReplicas:      status.ReadyReplicas,
		AvailableReplicas:  status.AvailableReplicas,
	}
	for _, condition := range status.Conditions {
		if condition.Reason == appstatus.NewReplicaSetAvailable {
			// As good as none.
			continue
		}
		kept := appsv1.DeploymentCondition{Type: condition.Type, Status: condition.Status, Reason: condition.Reason}
		if condition.Type == appsv1.DeploymentReplicaFailure || condition.Reason == appstatus.ProgressDeadlineExceeded {
			kept.Message = condition.Message
		}
		deployment.Status.Conditions = append(deployment.Status.Conditions, kept)
	}
	deployment.Status.Conditions = compact.Shrink(deployment.Status.Conditions)
	compact.Intern(&deployment.Status.Conditions)
}

// trimService keeps the node ports of a Service. Of our own it keeps what makes
// it another Service on the same port, and what the operator applied as a digest.
func trimService(service *corev1.Service, fields ssa.FieldSets) {
	if trimmed(service) {
		return
	}
	// A node port may have been picked, and is compared by itself.
	CompactMeta{Digest: ssa.OwnedDigest(service, fields, "nodePort"), Text: probeOf(service)}.Store(service)
	compact.Intern(&service.Namespace)
	trimOwners(service)
	spec := service.Spec
	service.Spec, service.Status = corev1.ServiceSpec{HealthCheckNodePort: spec.HealthCheckNodePort}, corev1.ServiceStatus{}
	if workload.Owned(service) {
		service.Spec.ExternalTrafficPolicy, service.Spec.IPFamilies = spec.ExternalTrafficPolicy, compact.Shrink(spec.IPFamilies)
		service.Spec.Ports = compact.Shrink(spec.Ports)
		compact.Intern(&service.Spec)
		return
	}
	for _, port := range spec.Ports {
		if port.NodePort != 0 {
			service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{NodePort: port.NodePort})
		}
	}
}

// probeOf returns the annotation with the settings of the probe. That of a foreign Service
// is not used, and that of our own has a bound.
func probeOf(service *corev1.Service) string {
	text := service.Annotations[v1alpha1.ProbeAnnotation]
	if !workload.Owned(service) || len(text) > protocol.MaxProbe {
		return ""
	}
	return text
}

// trimNode keeps the labels, the addresses and the Ready condition.
func trimNode(node *corev1.Node) {
	node.ObjectMeta = metav1.ObjectMeta{
		Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion,
		DeletionTimestamp: node.DeletionTimestamp, Labels: node.Labels,
	}
	status := corev1.NodeStatus{Addresses: node.Status.Addresses}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			// The heartbeat would be the one thing that ever differs.
			status.Conditions = []corev1.NodeCondition{{
				Type: condition.Type, Status: condition.Status, LastTransitionTime: condition.LastTransitionTime,
			}}
		}
	}
	node.Spec, node.Status = corev1.NodeSpec{}, status
	// Thousands of nodes have the same few labels.
	compact.Intern(&node.Labels, &node.Status)
}

// trimEndpointSlice keeps the name of its Service, and the nodes of the endpoints and
// their conditions.
func trimEndpointSlice(slice *discoveryv1.EndpointSlice) {
	if trimmed(slice) {
		return
	}
	service := slice.Labels[discoveryv1.LabelServiceName]
	slice.ObjectMeta = metav1.ObjectMeta{
		Namespace: slice.Namespace, Name: slice.Name, ResourceVersion: slice.ResourceVersion,
	}
	CompactMeta{Text: service}.Store(slice)
	slice.Ports = nil
	slice.Endpoints = compact.Shrink(slice.Endpoints)
	for i := range slice.Endpoints {
		slice.Endpoints[i] = discoveryv1.Endpoint{
			Conditions: slice.Endpoints[i].Conditions, NodeName: slice.Endpoints[i].NodeName,
		}
	}
	compact.Intern(&slice.Namespace, &slice.Endpoints)
}

// trimOwners keeps who controls a child, and the texts of that once. An ExposedApp's name
// is that of its children. Other owners may be any number, and so may finalizers.
func trimOwners(child client.Object) {
	child.SetFinalizers(nil)
	owner := metav1.GetControllerOf(child)
	if owner == nil {
		child.SetOwnerReferences(nil)
		return
	}
	compact.Intern(&owner.APIVersion, &owner.Kind)
	if owner.Name == child.GetName() {
		owner.Name = child.GetName()
	}
	child.SetOwnerReferences([]metav1.OwnerReference{*owner})
}

// maxManager bounds a field manager's name, which others choose.
const maxManager = 64

// replicasManager returns who set the replicas of a Deployment last, if that was not the
// operator. Whoever sets another value takes the field away from all others.
func replicasManager(live *appsv1.Deployment, fields ssa.FieldSets) (manager string) {
	replicas := fieldpath.MakePathOrDie("spec", "replicas")
	for _, entry := range live.ManagedFields {
		if entry.FieldsV1 == nil || entry.Subresource == "status" {
			continue
		}
		owned, err := fields.Read(entry.FieldsV1)
		if err != nil || !owned.Has(replicas) {
			continue
		}
		if ssa.OwnEntry(entry) {
			return ""
		}
		manager = managerName(entry)
	}
	return manager
}

func managerName(entry metav1.ManagedFieldsEntry) string {
	if entry.Manager == "kube-controller-manager" && entry.Subresource == "scale" {
		return "a HorizontalPodAutoscaler (kube-controller-manager)"
	}
	return fmt.Sprintf("%q", trouble.Clean(entry.Manager, maxManager))
}
