package gen

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// At is a time, in minutes from the start.
func At(minutes int) metav1.Time {
	return metav1.NewTime(time.Date(2026, 1, 1, 12, minutes, 0, 0, time.UTC))
}

// RolledOut returns a Deployment whose pods are all there and ready.
func RolledOut(replicas int32, changes ...func(*appsv1.Deployment)) *appsv1.Deployment {
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Generation: 7},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: 7,
			Replicas:           replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			},
		},
	}
	for _, change := range changes {
		change(deployment)
	}
	return deployment
}

// Progressing gives a Deployment another Progressing condition.
func Progressing(status corev1.ConditionStatus, reason string) func(*appsv1.Deployment) {
	return func(deployment *appsv1.Deployment) {
		deployment.Status.Conditions[1] = appsv1.DeploymentCondition{
			Type: appsv1.DeploymentProgressing, Status: status, Reason: reason, Message: "as the controller says",
		}
	}
}

// Paused is what kubectl rollout pause does, and the Deployment controller says
// of it.
func Paused(deployment *appsv1.Deployment) {
	deployment.Spec.Paused = true
	Progressing(corev1.ConditionUnknown, "DeploymentPaused")(deployment)
}

// Unavailable has a Deployment lack pods that are ready.
func Unavailable(deployment *appsv1.Deployment) {
	deployment.Status.ReadyReplicas, deployment.Status.AvailableReplicas = 1, 1
	deployment.Status.Conditions[0].Status = corev1.ConditionFalse
}

// ServiceHolding returns a Service with a node port.
func ServiceHolding(nodePort int32) *corev1.Service {
	return &corev1.Service{Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Name: "http", Port: 80, NodePort: nodePort}},
	}}
}

// AppService is the Service of an ExposedApp.
func AppService(name string, nodePort int32) *corev1.Service {
	service := ServiceHolding(nodePort)
	service.Namespace, service.Name = "shop", name
	service.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "ExposedApp", Name: name, UID: types.UID(name), Controller: new(true),
	}}
	return service
}

// InvalidService is the API server's answer to a Service of which fields are wrong. The
// causes that apierrors makes of these are what kube-apiserver 1.36 answers,
// such as spec.ports[0].nodePort: "Invalid value: 31000: provided port is
// already allocated".
func InvalidService(causes ...*field.Error) *apierrors.StatusError {
	return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "web", causes)
}

// InvalidField is the API server's answer to a Service of which a field is wrong.
func InvalidField() *apierrors.StatusError {
	return InvalidService(field.Required(field.NewPath("spec", "ports"), ""))
}
