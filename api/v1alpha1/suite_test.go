package v1alpha1_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// k8s talks to a real API server that knows the CRDs, and to nothing else: no
// operator runs.
var k8s client.Client

func TestMain(m *testing.M) {
	code, err := serve(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// serve runs tests against an API server.
func serve(run func() int) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 0, fmt.Errorf("KUBEBUILDER_ASSETS is not set: run make test-unit, which names the API server")
	}
	server := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := server.Start()
	if err != nil {
		return 0, fmt.Errorf("start the API server: %w", err)
	}
	defer func() {
		if stopped := server.Stop(); stopped != nil && err == nil {
			err = fmt.Errorf("stop the API server: %w", stopped)
		}
	}()
	config.QPS = -1
	types := runtime.NewScheme()
	if err := scheme.AddToScheme(types); err != nil {
		return 0, err
	}
	if err := v1alpha1.AddToScheme(types); err != nil {
		return 0, err
	}
	if k8s, err = client.New(config, client.Options{Scheme: types, FieldOwner: "test"}); err != nil {
		return 0, err
	}
	return run(), nil
}

// create has the API server judge a manifest, and stores nothing.
func create(t *testing.T, manifest string) error {
	t.Helper()
	return k8s.Create(t.Context(), parse(t, manifest), client.DryRunAll)
}

// parse reads a manifest as a user would write it: with zero values, and with
// what the Go types cannot hold.
func parse(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	NewWithT(t).Expect(yaml.Unmarshal([]byte(manifest), object)).To(Succeed(), manifest)
	return object
}

// store creates an object for the time of a test.
func store(t *testing.T, object client.Object) {
	t.Helper()
	NewWithT(t).Expect(k8s.Create(t.Context(), object)).To(Succeed())
	remove(t, object)
}

// remove deletes an object when the test is over.
func remove(t *testing.T, object client.Object) {
	// The test's own context has ended by then.
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() { NewWithT(t).Expect(k8s.Delete(ctx, object)).To(Succeed()) })
}
