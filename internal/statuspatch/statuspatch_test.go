package statuspatch_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/statuspatch"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestOf(t *testing.T) {
	g := NewWithT(t)
	k8s := connect(t)
	write := func(app *v1alpha1.ExposedApp, status v1alpha1.ExposedAppStatus) error {
		patch, err := statuspatch.Of(app.UID, status)
		g.Expect(err).NotTo(HaveOccurred())
		return k8s.Status().Patch(t.Context(), app.DeepCopy(), client.RawPatch(types.JSONPatchType, patch))
	}
	statusOf := func(app *v1alpha1.ExposedApp) v1alpha1.ExposedAppStatus {
		var now v1alpha1.ExposedApp
		g.Expect(k8s.Get(t.Context(), client.ObjectKeyFromObject(app), &now)).To(Succeed())
		return now.Status
	}
	app := gen.ExposedApp("web")
	g.Expect(k8s.Create(t.Context(), app)).To(Succeed())

	first := v1alpha1.ExposedAppStatus{ObservedGeneration: 1, NodePort: 31000, Selector: "a=b"}
	g.Expect(write(app, first)).To(Succeed())
	g.Expect(statusOf(app)).To(Equal(first))

	second := v1alpha1.ExposedAppStatus{ObservedGeneration: 2, Replicas: 3}
	g.Expect(write(app, second)).To(Succeed())
	g.Expect(statusOf(app)).To(Equal(second), "nothing of the former status is left")

	g.Expect(k8s.Delete(t.Context(), app)).To(Succeed())
	g.Expect(write(app, first)).To(MatchError(apierrors.IsNotFound, "IsNotFound"))

	namesake := gen.ExposedApp("web")
	g.Expect(k8s.Create(t.Context(), namesake)).To(Succeed())
	fresh := statusOf(namesake)
	g.Expect(write(app, first)).To(MatchError(apierrors.IsInvalid, "IsInvalid"))
	g.Expect(statusOf(namesake)).To(Equal(fresh), "it is not the app that this was found of")
}

func TestOfVersion(t *testing.T) {
	g := NewWithT(t)
	k8s := connect(t)
	app := gen.ExposedApp("web")
	g.Expect(k8s.Create(t.Context(), app)).To(Succeed())
	write := func(seen *v1alpha1.ExposedApp, status v1alpha1.ExposedAppStatus) error {
		patch, err := statuspatch.OfVersion(seen.UID, seen.ResourceVersion, status)
		g.Expect(err).NotTo(HaveOccurred())
		return k8s.Status().Patch(t.Context(), seen.DeepCopy(), client.RawPatch(types.JSONPatchType, patch))
	}
	now := func() *v1alpha1.ExposedApp {
		var now v1alpha1.ExposedApp
		g.Expect(k8s.Get(t.Context(), client.ObjectKeyFromObject(app), &now)).To(Succeed())
		return &now
	}
	first := v1alpha1.ExposedAppStatus{ObservedGeneration: 1, NodePort: 31000}
	g.Expect(write(app, first)).To(Succeed())
	g.Expect(now().Status).To(Equal(first))
	g.Expect(write(app, v1alpha1.ExposedAppStatus{NodePort: 31001})).To(MatchError(apierrors.IsConflict, "IsConflict"))
	g.Expect(now().Status).To(Equal(first), "who saw an older state overwrites nothing")

	version := now().ResourceVersion
	g.Expect(write(now(), first)).To(Succeed())
	g.Expect(now().ResourceVersion).To(Equal(version), "the same status is no change")

	namesake := *now()
	namesake.UID = "another"
	g.Expect(write(&namesake, v1alpha1.ExposedAppStatus{})).To(MatchError(apierrors.IsInvalid, "IsInvalid"))
}

// connect starts an API server for the time of the test.
func connect(t *testing.T) client.Client {
	t.Helper()
	g := NewWithT(t)
	g.Expect(os.Getenv("KUBEBUILDER_ASSETS")).NotTo(BeEmpty(), "run make test-unit, which names the API server")
	environment := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("..", "..", "config", "crd", "bases")}}
	config, err := environment.Start()
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(environment.Stop()).To(Succeed()) })
	scheme := runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	k8s, err := client.New(config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	return k8s
}
