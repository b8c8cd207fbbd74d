// Package gen builds objects for tests: valid ones, with the defaults that the
// API server would fill in, and only what a test is about spelled out.
package gen

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// Option changes an ExposedApp.
type Option func(*v1alpha1.ExposedApp)

// ExposedApp returns an ExposedApp in the namespace default, as the API server
// would return one whose spec is empty but for the options.
func ExposedApp(name string, options ...Option) *v1alpha1.ExposedApp {
	app := &v1alpha1.ExposedApp{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name},
		Spec: v1alpha1.ExposedAppSpec{
			App: v1alpha1.AppSpec{
				Image:         "ghcr.io/stefanprodan/podinfo:6.9.2",
				Replicas:      new(int32(1)),
				ContainerPort: 9898,
				LivenessPath:  new("/healthz"),
				ReadinessPath: new("/readyz"),
			},
			Service: v1alpha1.ServiceSpec{
				Port:                  80,
				ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster,
				IPFamilyPolicy:        corev1.IPFamilyPolicySingleStack,
			},
			Probe:        v1alpha1.ProbeSpec{Path: "/", PeriodSeconds: 5, TimeoutSeconds: 2, FailureThreshold: 2},
			MinReachable: new(intstr.FromString("100%")),
			Suspend:      new(false),
		},
		Status: v1alpha1.ExposedAppStatus{ObservedGeneration: -1},
	}
	for _, option := range options {
		option(app)
	}
	return app
}

// WithNamespace puts an ExposedApp into a namespace other than default.
func WithNamespace(namespace string) Option {
	return func(app *v1alpha1.ExposedApp) { app.Namespace = namespace }
}

// WithIdentity sets what the API server sets of itself on an object that exists.
func WithIdentity(uid types.UID, generation int64) Option {
	return func(app *v1alpha1.ExposedApp) { app.UID, app.Generation = uid, generation }
}

// WithNodePort asks for a node port.
func WithNodePort(nodePort int32) Option {
	return func(app *v1alpha1.ExposedApp) { app.Spec.NodePort = &nodePort }
}

// WithImage sets the container's image.
func WithImage(image string) Option {
	return func(app *v1alpha1.ExposedApp) { app.Spec.App.Image = image }
}

// WithReplicas sets the number of pods.
func WithReplicas(replicas int32) Option {
	return func(app *v1alpha1.ExposedApp) { app.Spec.App.Replicas = &replicas }
}

// WithEnv adds an environment variable of the container.
func WithEnv(name, value string) Option {
	return func(app *v1alpha1.ExposedApp) {
		app.Spec.App.Env = append(app.Spec.App.Env, corev1.EnvVar{Name: name, Value: value})
	}
}

// WithTrafficPolicy sets the Service's externalTrafficPolicy.
func WithTrafficPolicy(policy corev1.ServiceExternalTrafficPolicy) Option {
	return func(app *v1alpha1.ExposedApp) { app.Spec.Service.ExternalTrafficPolicy = policy }
}

// WithIPFamilyPolicy sets the Service's ipFamilyPolicy.
func WithIPFamilyPolicy(policy corev1.IPFamilyPolicy) Option {
	return func(app *v1alpha1.ExposedApp) { app.Spec.Service.IPFamilyPolicy = policy }
}

// WithMinReachable sets how many nodes must answer.
func WithMinReachable(minimum intstr.IntOrString) Option {
	return func(app *v1alpha1.ExposedApp) { app.Spec.MinReachable = &minimum }
}

// WithSuspend stops the operator from touching the children.
func WithSuspend(app *v1alpha1.ExposedApp) { app.Spec.Suspend = new(true) }

// WithEverything sets all that can be set.
func WithEverything(app *v1alpha1.ExposedApp) {
	app.Spec.NodePort = new(int32(32000))
	app.Spec.App = v1alpha1.AppSpec{
		Image:            "registry.example.com/shop/web@sha256:0123",
		ImagePullPolicy:  corev1.PullAlways,
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "registry"}, {Name: "mirror"}},
		Replicas:         new(int32(0)),
		ContainerPort:    8080,
		LivenessPath:     new(""),
		ReadinessPath:    new("/ready"),
		Args:             []string{"--verbose", "--level=2"},
		Env: []corev1.EnvVar{
			{Name: "GREETING", Value: "hello"},
			{Name: "EMPTY"},
			{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "token"}, Key: "value", Optional: new(true),
			}}},
			{Name: "PODINFO_UI_MESSAGE", Value: "mine"},
		},
		Resources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")},
		},
		SecurityContext: &corev1.SecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(1000))},
		NodeSelector:    map[string]string{"disk": "ssd"},
		Tolerations: []corev1.Toleration{
			{Key: "edge", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
			{Key: "gone", Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(30))},
		},
	}
	app.Spec.Service.Port = 8443
	app.Spec.Probe = v1alpha1.ProbeSpec{Path: "/shop?q=1", PeriodSeconds: 10, TimeoutSeconds: 3, FailureThreshold: 1}
}
