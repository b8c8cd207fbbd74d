package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// makeTemplate has the operator serve one app, and writes down what it made.
func makeTemplate(ctx context.Context, b *bench, c *cluster) (path string, err error) {
	const namespace, name = "bench-template", "template-app"
	if err := createNamespace(ctx, c, namespace); err != nil {
		return "", err
	}
	app := &v1alpha1.ExposedApp{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := c.admin.Create(ctx, app); err != nil {
		return "", err
	}
	operator, err := c.startOperator(ctx, b)
	if err != nil {
		return "", err
	}
	w := watchApps(ctx, c, namespace, hasAll)
	defer w.stop()
	if _, err := w.await(ctx, 1, time.Minute); err != nil {
		return "", err
	}
	if err := operator.stop(); err != nil {
		return "", err
	}
	made, err := describe(ctx, c, client.ObjectKeyFromObject(app))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(made)
	if err != nil {
		return "", err
	}
	path = filepath.Join(b.dir, "template.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", err
	}
	return path, sweep(ctx, c, namespace)
}

// describe reads what the operator applied to the children of an app, and the
// status that it wrote.
func describe(ctx context.Context, c *cluster, key client.ObjectKey) (*template, error) {
	var app v1alpha1.ExposedApp
	var deployment appsv1.Deployment
	var service corev1.Service
	for _, object := range []client.Object{&app, &deployment, &service} {
		if err := c.admin.Get(ctx, key, object); err != nil {
			return nil, err
		}
	}
	appliedDeployment, err := appsv1ac.ExtractDeployment(&deployment, v1alpha1.OperatorName)
	if err != nil {
		return nil, err
	}
	appliedService, err := corev1ac.ExtractService(&service, v1alpha1.OperatorName)
	if err != nil {
		return nil, err
	}
	// Kubernetes is to pick the port, as it did for the operator.
	for i := range appliedService.Spec.Ports {
		appliedService.Spec.Ports[i].NodePort = nil
	}
	made := &template{
		Namespace: key.Namespace, Name: key.Name, UID: string(app.UID), NodePort: service.Spec.Ports[0].NodePort,
	}
	for text, object := range map[*string]any{
		&made.Deployment: appliedDeployment,
		&made.Service:    appliedService,
		&made.Status:     map[string]any{"status": app.Status},
	} {
		rendered, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		*text = string(rendered)
	}
	return made, nil
}
