// Package workload renders what an ExposedApp declares: its Deployment and its Service, as
// apply configurations. It also reads from live children what belongs to the app, and says
// what of them cannot stay beside what is declared.
//
// It is pure: no call, no clock, no error.
package workload

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

const (
	containerName = "app"
	portName      = v1alpha1.PortName

	// messageEnv makes podinfo show the node that served a request.
	messageEnv = "PODINFO_UI_MESSAGE"
)

// Deployment renders the Deployment of an ExposedApp.
func Deployment(app *v1alpha1.ExposedApp) *appsv1ac.DeploymentApplyConfiguration {
	pod := corev1ac.PodSpec().WithContainers(container(&app.Spec.App))
	for _, secret := range app.Spec.App.ImagePullSecrets {
		pod.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(secret.Name))
	}
	if len(app.Spec.App.NodeSelector) > 0 {
		pod.WithNodeSelector(app.Spec.App.NodeSelector)
	}
	for _, toleration := range app.Spec.App.Tolerations {
		pod.WithTolerations(convert[corev1ac.TolerationApplyConfiguration](toleration))
	}
	labels := childLabels(app)
	labels[v1alpha1.NameLabel] = app.Name
	return appsv1ac.Deployment(app.Name, app.Namespace).
		WithLabels(childLabels(app)).
		WithOwnerReferences(owner(app)).
		WithSpec(appsv1ac.DeploymentSpec().
			WithReplicas(ptr.Deref(app.Spec.App.Replicas, 1)).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(Selector(app))).
			WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).WithSpec(pod)))
}

func container(app *v1alpha1.AppSpec) *corev1ac.ContainerApplyConfiguration {
	container := corev1ac.Container().
		WithName(containerName).
		WithImage(app.Image).
		WithPorts(corev1ac.ContainerPort().
			WithName(portName).WithContainerPort(app.ContainerPort).WithProtocol(corev1.ProtocolTCP)).
		WithSecurityContext(securityContext(app)).
		WithArgs(app.Args...)
	if app.ImagePullPolicy != "" {
		container.WithImagePullPolicy(app.ImagePullPolicy)
	}
	if path := ptr.Deref(app.LivenessPath, ""); path != "" {
		container.WithLivenessProbe(httpProbe(path))
	}
	if path := ptr.Deref(app.ReadinessPath, ""); path != "" {
		container.WithReadinessProbe(httpProbe(path))
	}
	if app.Resources != nil {
		container.WithResources(convert[corev1ac.ResourceRequirementsApplyConfiguration](app.Resources))
	}
	named := false
	for _, variable := range app.Env {
		named = named || variable.Name == messageEnv
		container.WithEnv(environment(variable))
	}
	if !named {
		container.WithEnv(corev1ac.EnvVar().WithName(messageEnv).WithValueFrom(corev1ac.EnvVarSource().
			WithFieldRef(corev1ac.ObjectFieldSelector().WithAPIVersion("v1").WithFieldPath("spec.nodeName"))))
	}
	return container
}

// environment renders a variable with the defaults that the API server fills
// into references. It owns them as a whole: what it adds would count as drift.
func environment(variable corev1.EnvVar) *corev1ac.EnvVarApplyConfiguration {
	rendered := convert[corev1ac.EnvVarApplyConfiguration](variable)
	if source := rendered.ValueFrom; source != nil && source.FieldRef != nil && source.FieldRef.APIVersion == nil {
		source.FieldRef.WithAPIVersion("v1")
	}
	if source := rendered.ValueFrom; source != nil && source.ResourceFieldRef != nil {
		source.ResourceFieldRef.WithDivisor(variable.ValueFrom.ResourceFieldRef.Divisor)
	}
	return rendered
}

func httpProbe(path string) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(portName))).
		WithPeriodSeconds(5)
}

// securityContext is what the user sets, over defaults that ask for nothing that an
// image commonly lacks: a user other than root, for one, must be named by the image or
// by the user.
func securityContext(app *v1alpha1.AppSpec) *corev1ac.SecurityContextApplyConfiguration {
	set := ptr.Deref(app.SecurityContext, corev1.SecurityContext{})
	context := convert[corev1ac.SecurityContextApplyConfiguration](set)
	if context.AllowPrivilegeEscalation == nil && !escalates(&set) {
		context.WithAllowPrivilegeEscalation(false)
	}
	if set.Capabilities == nil || set.Capabilities.Drop == nil {
		if context.Capabilities == nil {
			context.WithCapabilities(corev1ac.Capabilities())
		}
		context.Capabilities.WithDrop("ALL")
	}
	if context.SeccompProfile == nil {
		context.WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	}
	return context
}

// escalates reports whether the API server would refuse to take privilege escalation
// away beside what is set.
func escalates(set *corev1.SecurityContext) bool {
	return ptr.Deref(set.Privileged, false) ||
		set.Capabilities != nil && slices.Contains(set.Capabilities.Add, "CAP_SYS_ADMIN")
}

// Service renders the Service of an ExposedApp. A nodePort of 0 leaves the
// choice to Kubernetes.
func Service(app *v1alpha1.ExposedApp, nodePort int32) *corev1ac.ServiceApplyConfiguration {
	port := corev1ac.ServicePort().
		WithName(portName).
		WithProtocol(corev1.ProtocolTCP).
		WithPort(app.Spec.Service.Port).
		WithTargetPort(intstr.FromInt32(app.Spec.App.ContainerPort))
	if nodePort != 0 {
		port.WithNodePort(nodePort)
	}
	return corev1ac.Service(app.Name, app.Namespace).
		WithLabels(childLabels(app)).
		WithAnnotations(map[string]string{v1alpha1.ProbeAnnotation: protocol.EncodeProbe(&app.Spec.Probe)}).
		WithOwnerReferences(owner(app)).
		WithSpec(corev1ac.ServiceSpec().
			WithType(corev1.ServiceTypeNodePort).
			WithSelector(Selector(app)).
			WithPorts(port).
			WithExternalTrafficPolicy(app.Spec.Service.ExternalTrafficPolicy).
			WithIPFamilyPolicy(app.Spec.Service.IPFamilyPolicy))
}

// owner makes the children go with the ExposedApp. They do not hold back its
// deletion: nothing is lost when it goes first.
func owner(app *v1alpha1.ExposedApp) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.SchemeGroupVersion.String()).
		WithKind("ExposedApp").
		WithName(app.Name).
		WithUID(app.UID).
		WithController(true)
}

// childLabels are the operator's own. The ExposedApp's labels and annotations
// are not copied: Argo CD would take the children for its own and prune them.
func childLabels(app *v1alpha1.ExposedApp) map[string]string {
	return map[string]string{
		v1alpha1.AppLabel:       app.Name,
		v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue,
	}
}

// Selector selects the pods of an app.
func Selector(app *v1alpha1.ExposedApp) map[string]string {
	return map[string]string{v1alpha1.NameLabel: app.Name}
}

// convert turns an API type into its apply configuration; both have the same
// JSON.
func convert[T any](value any) *T {
	configuration := new(T)
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, configuration)
	}
	if err != nil {
		// The value was decoded from JSON before.
		panic(err)
	}
	return configuration
}
