package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// operatorWorkers is how many apps the operator works on at a time.
const operatorWorkers = 16

// floor makes the least calls that an app needs to converge: it creates the
// Deployment and the Service and patches the status, once, and never looks back.
// It learns of the apps by one watch. Its arguments are the path of a kubeconfig
// and that of a template.
//
// The client is the operator's, with its settings, and so the codecs are.
func floor(ctx context.Context, arguments []string) error {
	config, err := subjectConfig(arguments[0], "floor")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(arguments[1])
	if err != nil {
		return err
	}
	var made template
	if err := json.Unmarshal(text, &made); err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	api, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan *v1alpha1.ExposedApp, 100_000)
	for range operatorWorkers {
		group.Go(func() error {
			for app := range queue {
				if err := made.makeFor(ctx, api, app); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(queue)
		known := make(map[types.UID]bool)
		return follow(ctx, api, func() client.ObjectList { return &v1alpha1.ExposedAppList{} },
			func(_ watch.EventType, object client.Object) {
				if app, ok := object.(*v1alpha1.ExposedApp); ok && !known[app.UID] {
					known[app.UID] = true
					queue <- app
				}
			}, nil)
	})
	return group.Wait()
}

// subjectConfig is how a subject speaks to the API server: as the operator does.
func subjectConfig(kubeconfig, name string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.UserAgent, config.DisableCompression = -1, name, true
	return config, nil
}

// template is what the operator made of one app, as JSON, and what there differs
// from app to app. It is the operator's own output, so that the floor writes
// what the operator writes.
type template struct {
	Deployment, Service, Status string
	Namespace, Name, UID        string
	NodePort                    int32
}

func (t *template) makeFor(ctx context.Context, api client.Client, app *v1alpha1.ExposedApp) error {
	texts := []string{t.UID, string(app.UID), t.Namespace, app.Namespace, t.Name, app.Name}
	rendered := strings.NewReplacer(texts...)
	var deployment appsv1.Deployment
	if err := json.Unmarshal([]byte(rendered.Replace(t.Deployment)), &deployment); err != nil {
		return err
	}
	if err := api.Create(ctx, &deployment); err != nil {
		return fmt.Errorf("create deployment: %w", err)
	}
	var service corev1.Service
	if err := json.Unmarshal([]byte(rendered.Replace(t.Service)), &service); err != nil {
		return err
	}
	if err := api.Create(ctx, &service); err != nil {
		return fmt.Errorf("create service: %w", err)
	}
	nodePort := strconv.Itoa(int(service.Spec.Ports[0].NodePort))
	texts = append(texts, strconv.Itoa(int(t.NodePort)), nodePort)
	status := strings.NewReplacer(texts...).Replace(t.Status)
	err := api.Status().Patch(ctx, app, client.RawPatch(types.MergePatchType, []byte(status)))
	if err != nil {
		return fmt.Errorf("patch status: %w", err)
	}
	return nil
}
