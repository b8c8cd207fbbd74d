//go:build !race

package limits

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

const (
	fatServices    = 250
	fatDeployments = 100
	fatApps        = 100
	fatSlices      = 100
)

// TestAmongFatObjects starts each program where tenants made hundreds of the biggest
// objects that they may. An honest app is followed from the start and from its own
// creation on, and the program is not killed. How soon depends on what else the machine
// does, so that is printed and not asserted.
func TestAmongFatObjects(t *testing.T) {
	api, kubeconfig := start(t)
	makeFat(t.Context(), NewWithT(t), api)
	t.Run("agent", func(t *testing.T) { testAgent(t, api, kubeconfig) })
	t.Run("operator", func(t *testing.T) { testOperator(t, api, kubeconfig) })
}

// start starts an API server with the CRDs, until the test ends.
func start(t *testing.T) (client.Client, string) {
	t.Helper()
	g := NewWithT(t)
	g.Expect(os.Getenv("KUBEBUILDER_ASSETS")).NotTo(BeEmpty(), "run make test-unit, which names the API server")
	server := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := server.Start()
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(server.Stop()).To(Succeed()) })
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	g.Expect(os.WriteFile(kubeconfig, server.KubeConfig, 0o600)).To(Succeed())
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, discoveryv1.AddToScheme, v1alpha1.AddToScheme} {
		g.Expect(add(types)).To(Succeed())
	}
	config.QPS = -1
	api, err := client.New(config, client.Options{Scheme: types})
	g.Expect(err).NotTo(HaveOccurred())
	return api, kubeconfig
}

// makeFat makes what a tenant may make: hundreds of Services and Deployments with the
// operator's label and the longest annotation that there may be, EndpointSlices with as
// many endpoints, and ExposedApps as long as their schema admits.
func makeFat(ctx context.Context, g Gomega, api client.Client) {
	labels := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
	for i := range fatServices {
		g.Expect(api.Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: metav1.NamespaceDefault, Name: fmt.Sprint("fat-", i), Labels: labels,
				Annotations: map[string]string{v1alpha1.ProbeAnnotation: strings.Repeat("x", 250_000)},
			},
			// Headless, since the test's API server has 254 cluster IPs.
			Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 80}}},
		})).To(Succeed())
	}
	for i := range fatDeployments {
		web := map[string]string{"app": "fat"}
		g.Expect(api.Create(ctx, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprint("fat-", i), Labels: labels},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: web},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: web, Annotations: map[string]string{"fat": strings.Repeat("x", 250_000)}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
				},
			},
		})).To(Succeed())
	}
	for i := range fatApps {
		app := gen.ExposedApp(fmt.Sprint("fat-app-", i), gen.WithEnv("FAT", strings.Repeat("x", 4000)))
		app.Annotations = map[string]string{"fat": strings.Repeat("x", 250_000)}
		app.Spec.App.Args = slices.Repeat([]string{strings.Repeat("x", 4000)}, 4)
		// Their Services and Deployments are the operator's and small.
		app.Spec.Suspend = new(true)
		g.Expect(api.Create(ctx, app)).To(Succeed())
	}
	endpoints := make([]discoveryv1.Endpoint, 1000)
	for i := range endpoints {
		endpoints[i].Addresses = []string{fmt.Sprintf("10.200.%d.%d", i/250, i%250+1)}
	}
	for i := range fatSlices {
		g.Expect(api.Create(ctx, &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: metav1.NamespaceDefault, Name: fmt.Sprint("fat-", i),
				Labels: map[string]string{
					v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue, discoveryv1.LabelServiceName: fmt.Sprint("fat-", i),
				},
			},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   endpoints,
			Ports:       []discoveryv1.EndpointPort{{Port: new(int32(9898))}},
		})).To(Succeed())
	}
}

// program is one of ours, as its manifest runs it.
type program struct {
	name        string
	args        []string
	environment []string
	// limit is the memory that it may take, in bytes.
	limit int64
}

// run runs a program until the test ends, under its limit where this machine lets the
// test set one.
func run(t *testing.T, p program) *exec.Cmd {
	t.Helper()
	g := NewWithT(t)
	binary := filepath.Join(t.TempDir(), p.name)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/"+p.name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	g.Expect(build.Run()).To(Succeed())
	// The shell enters the group before it becomes the program.
	script, group := `exec "$0" "$@"`, limitedGroup(t, p)
	if group != "" {
		script = `echo $$ >` + group + `/cgroup.procs && ` + script
	}
	process := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, binary}, p.args...)...)
	process.Env = append(os.Environ(), p.environment...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	g.Expect(err).NotTo(HaveOccurred())
	process.Stdout, process.Stderr = log, log
	g.Expect(process.Start()).To(Succeed())
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		_ = log.Close()
		if group != "" {
			_ = os.Remove(group)
		}
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("the last of its log: %s", text[max(0, len(text)-8<<10):])
		}
	})
	return process
}

// limitedGroup makes a cgroup with the limit of a program, of version 1 or 2. It returns
// the empty string where that is not possible; the peak is looked at in any case.
func limitedGroup(t *testing.T, p program) string {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		parent, file := filepath.Join("/sys/fs/cgroup", fields[2]), "memory.max"
		if fields[1] == "memory" {
			parent, file = filepath.Join("/sys/fs/cgroup/memory", fields[2]), "memory.limit_in_bytes"
		} else if fields[1] != "" {
			continue
		}
		group := filepath.Join(parent, fmt.Sprint("exposedapp-", p.name, "-", os.Getpid()))
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		if os.WriteFile(filepath.Join(group, file), []byte(strconv.FormatInt(p.limit, 10)), 0o600) == nil {
			t.Log("limited by ", filepath.Join(group, file))
			return group
		}
		_ = os.Remove(group)
	}
	t.Log("no cgroup can be made here; only the peak is looked at")
	return ""
}

// follows waits until a program has done what an honest app asks for, and prints how long
// that took.
func follows(t *testing.T, app string, done func(g Gomega)) {
	t.Helper()
	since := time.Now()
	NewWithT(t).Eventually(done).WithTimeout(2 * time.Minute).WithPolling(100 * time.Millisecond).Should(Succeed())
	t.Logf("%s: followed after %v", app, time.Since(since).Round(100*time.Millisecond))
}

// staysWithin holds the most memory that was resident of a program that still runs against
// its limit.
func staysWithin(t *testing.T, process *exec.Cmd, limit int64) {
	t.Helper()
	g := NewWithT(t)
	peak := peakOf(g, process)
	t.Logf("resident: %d MiB at most", peak>>20)
	g.Expect(peak).To(BeNumerically("<", limit))
}

// peakOf returns the most memory that was resident of a process that still runs.
func peakOf(g Gomega, process *exec.Cmd) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.Process.Pid))
	g.Expect(err).NotTo(HaveOccurred(), "the program has ended")
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	g.Expect(found).To(BeTrue(), "the program has ended")
	var kib int64
	_, err = fmt.Sscan(rest, &kib)
	g.Expect(err).NotTo(HaveOccurred())
	return kib << 10
}
