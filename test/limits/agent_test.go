// Package limits runs the programs as they are shipped, within the memory that their
// manifests give them, against a real API server full of what others may write.
package limits

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

const (
	// agentLimit is that of config/agent.
	agentLimit = 48 << 20

	fatServices = 400
	fatSlices   = 100
)

// TestAgentAmongFatServices starts the agent where a tenant made hundreds of
// Services with the operator's label and the longest annotation that there may be,
// and EndpointSlices with as many endpoints. An honest app is followed from the start
// and from its own creation on, and the agent is not killed. How soon depends on what
// else the machine does, so that is printed and not asserted.
func TestAgentAmongFatServices(t *testing.T) {
	g := NewWithT(t)
	ctx := t.Context()
	api, kubeconfig := start(t)
	node := address(t)
	makeFat(ctx, g, api)
	g.Expect(api.Create(ctx, honest("first", 31001))).To(Succeed())
	g.Expect(api.Create(ctx, &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: "node"},
		Spec: v1alpha1.NodeReachabilitySpec{
			HeartbeatSeconds: 1,
			Targets:          []v1alpha1.Target{{Node: "other", Addresses: []string{node}}},
		},
	})).To(Succeed())

	agent := run(t, kubeconfig)
	follows := func(ports string) {
		since := time.Now()
		g.Eventually(func(g Gomega) {
			var n v1alpha1.NodeReachability
			g.Expect(api.Get(ctx, client.ObjectKey{Name: "node"}, &n)).To(Succeed())
			g.Expect(n.Status.NodePorts).To(Equal(ports))
		}).WithTimeout(2 * time.Minute).WithPolling(100 * time.Millisecond).Should(Succeed())
		t.Logf("%s: followed after %v", ports, time.Since(since).Round(100*time.Millisecond))
	}
	follows("31001")
	g.Expect(api.Create(ctx, honest("second", 31002))).To(Succeed())
	follows("31001-31002")
	peak := peakOf(g, agent)
	t.Logf("resident: %d MiB at most", peak>>20)
	g.Expect(peak).To(BeNumerically("<", agentLimit))
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
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, v1alpha1.AddToScheme} {
		g.Expect(add(types)).To(Succeed())
	}
	config.QPS = -1
	api, err := client.New(config, client.Options{Scheme: types})
	g.Expect(err).NotTo(HaveOccurred())
	return api, kubeconfig
}

// address returns one of this machine that an agent dials.
func address(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

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

// honest is a Service as the operator makes it.
func honest(name string, port int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceDefault, Name: name,
			Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "ExposedApp", Name: name, UID: "1", Controller: new(true),
			}},
		},
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeNodePort,
			Ports: []corev1.ServicePort{{Name: v1alpha1.PortName, Port: 80, NodePort: port}},
		},
	}
}

// run runs the agent until the test ends, under the limit of its manifest where this
// machine lets the test set one, and with the environment of its manifest.
func run(t *testing.T, kubeconfig string) *exec.Cmd {
	t.Helper()
	g := NewWithT(t)
	binary := filepath.Join(t.TempDir(), "agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/agent")
	build.Stderr = os.Stderr
	g.Expect(build.Run()).To(Succeed())
	// The shell enters the group before it becomes the agent.
	script, group := `exec "$0" "$@"`, limitedGroup(t)
	if group != "" {
		script = `echo $$ >` + group + `/cgroup.procs && ` + script
	}
	agent := exec.CommandContext(t.Context(), "sh", "-c", script, binary, "--node-name=node", "--kubeconfig="+kubeconfig)
	agent.Env = append(os.Environ(), "GOMEMLIMIT=40MiB", "GOMAXPROCS=2")
	agent.Stderr = os.Stderr
	g.Expect(agent.Start()).To(Succeed())
	t.Cleanup(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
		if group != "" {
			_ = os.Remove(group)
		}
	})
	return agent
}

// limitedGroup makes a cgroup with the limit of the agent, of version 1 or 2. It
// returns the empty string where that is not possible; the peak is looked at in any
// case.
func limitedGroup(t *testing.T) string {
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
		group := filepath.Join(parent, "exposedapp-limits-"+strconv.Itoa(os.Getpid()))
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		if os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(agentLimit)), 0o600) == nil {
			t.Log("limited by ", filepath.Join(group, file))
			return group
		}
		_ = os.Remove(group)
	}
	t.Log("no cgroup can be made here; only the peak is looked at")
	return ""
}

// peakOf returns the most memory that was resident of a process that still runs.
func peakOf(g Gomega, process *exec.Cmd) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.Process.Pid))
	g.Expect(err).NotTo(HaveOccurred(), "the agent has ended")
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	g.Expect(found).To(BeTrue(), "the agent has ended")
	var kib int64
	_, err = fmt.Sscan(rest, &kib)
	g.Expect(err).NotTo(HaveOccurred())
	return kib << 10
}
