package exposedapp

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// CacheOptions says what the operator caches, and of that only what it uses.
// Services and Deployments are watched in the whole cluster, because a foreign
// one may hold the node port or the name of an ExposedApp. While reports cannot
// be heard, the matrix is told so.
func CacheOptions(matrix *reachability.Matrix, now clock.PassiveClock) cache.Options {
	shared := true
	return cache.Options{
		NewInformer: func(source toolscache.ListerWatcher, example runtime.Object, resync time.Duration,
			indexers toolscache.Indexers) toolscache.SharedIndexInformer {
			lost, found := func() {}, func() {}
			if _, reports := example.(*v1alpha1.NodeReachability); reports {
				lost, found = func() { matrix.Deafen(now.Now()) }, func() { matrix.Hear(now.Now()) }
			}
			return newInformer(source, example, resync, indexers, lost, found)
		},
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.ExposedApp{}:       {Transform: transform(trimApp)},
			&v1alpha1.NodeReachability{}: {Transform: transform(trimReport)},
			&appsv1.Deployment{}:         {Transform: transform(trimDeployment)},
			&corev1.Service{}:            {Transform: transform(trimService)},
			&corev1.Node{}:               {Transform: transform(trimNode), UnsafeDisableDeepCopy: &shared},
			&discoveryv1.EndpointSlice{}: {
				// EndpointSlices carry the labels of their Service.
				Label:     labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}),
				Transform: transform(trimEndpointSlice), UnsafeDisableDeepCopy: &shared,
			},
		},
	}
}

func transform[T client.Object](trim func(T)) toolscache.TransformFunc {
	return func(object any) (any, error) {
		if typed, ok := object.(T); ok {
			trim(typed)
		}
		return object, nil
	}
}

// trimApp keeps all but the managed fields, in no more room than it takes: a decoder
// leaves up to half of a slice empty, and thousands of apps name the same nodes.
func trimApp(app *v1alpha1.ExposedApp) {
	app.ManagedFields = nil
	app.Status.Conditions = exact(app.Status.Conditions)
	app.Status.Nodes = exact(app.Status.Nodes)
	share(&app.Labels, &app.Spec, &app.Status.Nodes)
}

// trimReport does the same.
func trimReport(report *v1alpha1.NodeReachability) {
	report.ManagedFields = nil
	report.Spec.Targets = exact(report.Spec.Targets)
	report.Status.Addresses = exact(report.Status.Addresses)
	share(&report.Labels, &report.OwnerReferences, &report.Spec.Targets, &report.Status.Addresses)
}

// exact returns a slice with no room for more.
func exact[T any](items []T) []T {
	if len(items) == cap(items) {
		return items
	}
	return append(make([]T, 0, len(items)), items...)
}

// trimDeployment keeps what tells a foreign Deployment apart, and all of our
// own.
func trimDeployment(deployment *appsv1.Deployment) {
	trimMeta(&deployment.ObjectMeta)
	if !ours(deployment) {
		deployment.Spec, deployment.Status = appsv1.DeploymentSpec{}, appsv1.DeploymentStatus{}
	}
	share(&deployment.Spec)
}

// trimService keeps the node ports of a foreign Service, and all of our own.
func trimService(service *corev1.Service) {
	trimMeta(&service.ObjectMeta)
	if ours(service) {
		share(&service.Spec)
		return
	}
	kept := corev1.ServiceSpec{HealthCheckNodePort: service.Spec.HealthCheckNodePort}
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			kept.Ports = append(kept.Ports, corev1.ServicePort{NodePort: port.NodePort})
		}
	}
	service.Spec, service.Status = kept, corev1.ServiceStatus{}
}

// trimNode keeps the addresses and the Ready condition.
func trimNode(node *corev1.Node) {
	node.ObjectMeta = metav1.ObjectMeta{
		Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion,
		DeletionTimestamp: node.DeletionTimestamp,
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
	share(&node.Status)
}

// trimEndpointSlice keeps the nodes of the endpoints and their conditions.
func trimEndpointSlice(slice *discoveryv1.EndpointSlice) {
	slice.ManagedFields, slice.OwnerReferences, slice.Annotations, slice.Ports = nil, nil, nil, nil
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: slice.Labels[discoveryv1.LabelServiceName]}
	for i := range slice.Endpoints {
		slice.Endpoints[i] = discoveryv1.Endpoint{
			Conditions: slice.Endpoints[i].Conditions, NodeName: slice.Endpoints[i].NodeName,
		}
	}
	share(&slice.Labels, &slice.Endpoints)
}

// trimMeta keeps of the managed fields the operator's own, by which it knows
// whether anybody else changed what it applied.
func trimMeta(object *metav1.ObjectMeta) {
	var own []metav1.ManagedFieldsEntry
	for _, entry := range object.ManagedFields {
		if ownEntry(entry) {
			own = append(own, entry)
		}
	}
	object.ManagedFields = own
	if len(own) == 0 {
		object.Labels, object.Annotations = nil, nil
	}
	share(&object.Labels, &object.Annotations, &object.OwnerReferences, &object.ManagedFields)
}

// ours tells whether an object is controlled by an ExposedApp.
func ours(object metav1.Object) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && owner.Kind == "ExposedApp"
}
