package main

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// naive is the yardstick from the other side: what one writes into a scaffold,
// with all its defaults. It sets the fields one by one, so that it makes no
// update where nothing differs, and judges no node.
func naive(ctx context.Context, arguments []string) error {
	config, err := subjectConfig(arguments[0], "naive")
	if err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return err
	}
	if err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ExposedApp{}).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Complete(&naiveReconciler{Client: mgr.GetClient()}); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

type naiveReconciler struct {
	client.Client
}

func (r *naiveReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	var app v1alpha1.ExposedApp
	if err := r.Get(ctx, request.NamespacedName, &app); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	child := metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}
	deployment := &appsv1.Deployment{ObjectMeta: child}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, deployment, func() error {
		setDeployment(deployment, &app)
		return controllerutil.SetControllerReference(&app, deployment, r.Scheme())
	}); err != nil {
		return reconcile.Result{}, err
	}
	service := &corev1.Service{ObjectMeta: child}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, service, func() error {
		setService(service, &app)
		return controllerutil.SetControllerReference(&app, service, r.Scheme())
	}); err != nil {
		return reconcile.Result{}, err
	}
	app.Status.ObservedGeneration = app.Generation
	app.Status.NodePort = service.Spec.Ports[0].NodePort
	app.Status.Replicas = deployment.Status.Replicas
	app.Status.ReadyReplicas = deployment.Status.ReadyReplicas
	ready := metav1.Condition{
		Type: v1alpha1.ConditionReady, ObservedGeneration: app.Generation,
		Status: metav1.ConditionFalse, Reason: "NotAllReady", Message: "not all pods are ready",
	}
	if app.Status.ReadyReplicas == *app.Spec.App.Replicas {
		ready.Status, ready.Reason, ready.Message = metav1.ConditionTrue, "AllReady", "all pods are ready"
	}
	meta.SetStatusCondition(&app.Status.Conditions, ready)
	return reconcile.Result{}, r.Status().Update(ctx, &app)
}

func setDeployment(deployment *appsv1.Deployment, app *v1alpha1.ExposedApp) {
	labels := map[string]string{v1alpha1.NameLabel: app.Name}
	deployment.Labels = labels
	deployment.Spec.Replicas = app.Spec.App.Replicas
	deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	deployment.Spec.Template.Labels = labels
	pod := &deployment.Spec.Template.Spec
	if len(pod.Containers) == 0 {
		pod.Containers = []corev1.Container{{
			Name: "app", LivenessProbe: &corev1.Probe{}, ReadinessProbe: &corev1.Probe{},
			Ports: []corev1.ContainerPort{{Name: "http", Protocol: corev1.ProtocolTCP}},
		}}
	}
	container := &pod.Containers[0]
	container.Image = app.Spec.App.Image
	container.Ports[0].ContainerPort = app.Spec.App.ContainerPort
	for probe, path := range map[*corev1.Probe]*string{
		container.LivenessProbe: app.Spec.App.LivenessPath, container.ReadinessProbe: app.Spec.App.ReadinessPath,
	} {
		if probe.HTTPGet == nil {
			probe.HTTPGet = &corev1.HTTPGetAction{}
		}
		probe.HTTPGet.Path, probe.HTTPGet.Port = *path, intstr.FromString("http")
	}
}

func setService(service *corev1.Service, app *v1alpha1.ExposedApp) {
	service.Spec.Type = corev1.ServiceTypeNodePort
	service.Spec.Selector = map[string]string{v1alpha1.NameLabel: app.Name}
	if len(service.Spec.Ports) == 0 {
		service.Spec.Ports = []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP}}
	}
	port := &service.Spec.Ports[0]
	port.Port = app.Spec.Service.Port
	port.TargetPort = intstr.FromInt32(app.Spec.App.ContainerPort)
	if app.Spec.NodePort != nil {
		port.NodePort = *app.Spec.NodePort
	}
}
