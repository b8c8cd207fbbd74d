package v1alpha1_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

func TestDefaults(t *testing.T) {
	for name, spec := range map[string]string{
		"no spec":       "",
		"an empty spec": ", spec: {}",
		"empty parts":   ", spec: {app: {}, service: {}, probe: {}}",
		"empty fields":  ", spec: {app: {image: null, replicas: null}, minReachable: null}",
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			object := parse(t, "{apiVersion: exposedapp.dev/v1alpha1, kind: ExposedApp, "+
				"metadata: {name: web, namespace: default}"+spec+"}")
			g.Expect(k8s.Create(t.Context(), object, client.DryRunAll)).To(Succeed())
			app := &v1alpha1.ExposedApp{}
			g.Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, app)).To(Succeed())
			g.Expect(app.Spec).To(Equal(gen.ExposedApp("web").Spec))
		})
	}
}

// Without an operator an app must not look healthy, to anybody.
func TestStatusBeforeAnOperatorRan(t *testing.T) {
	g := NewWithT(t)
	app := gen.ExposedApp("fresh")
	app.Status = v1alpha1.ExposedAppStatus{ObservedGeneration: 1, Replicas: 3}
	store(t, app)
	read := &v1alpha1.ExposedApp{}
	g.Expect(k8s.Get(t.Context(), client.ObjectKeyFromObject(app), read)).To(Succeed())

	for when, object := range map[string]*v1alpha1.ExposedApp{"created": app, "read": read} {
		g.Expect(object.Status).To(Equal(v1alpha1.ExposedAppStatus{ObservedGeneration: -1}), when)
		g.Expect(kstatus.Of(object)).To(Equal(kstatus.InProgress), when)
	}
}

func TestDefaultsOfNodeReachability(t *testing.T) {
	g := NewWithT(t)
	object := parse(t, "{apiVersion: exposedapp.dev/v1alpha1, kind: NodeReachability, metadata: {name: a}}")
	g.Expect(k8s.Create(t.Context(), object, client.DryRunAll)).To(Succeed())
	g.Expect(object.Object["spec"]).To(Equal(map[string]any{
		"heartbeatSeconds": int64(10), "clusterSize": int64(1),
	}))
	g.Expect(object.Object).NotTo(HaveKey("status"))
}
