package agent_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent"
	"github.com/exposedapp/exposedapp/internal/probe"
)

var (
	config *rest.Config
	k8s    client.Client
)

func TestAgent(t *testing.T) {
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(10 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Agent against a real API server")
}

var _ = BeforeSuite(func() {
	Expect(os.Getenv("KUBEBUILDER_ASSETS")).NotTo(BeEmpty(), "run make test-unit, which names the API server")
	klog.SetLogger(GinkgoLogr)
	log.SetLogger(GinkgoLogr)
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	var err error
	config, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)

	types := runtime.NewScheme()
	Expect(corev1.AddToScheme(types)).To(Succeed())
	Expect(discoveryv1.AddToScheme(types)).To(Succeed())
	Expect(v1alpha1.AddToScheme(types)).To(Succeed())
	k8s, err = client.New(config, client.Options{Scheme: types})
	Expect(err).NotTo(HaveOccurred())
})

// network answers every dial, but for the addresses that it was told of.
type network struct {
	mu      sync.Mutex
	results map[string]probe.Result
	dialled map[netip.AddrPort]bool
}

func newNetwork() *network {
	return &network{results: map[string]probe.Result{}, dialled: map[netip.AddrPort]bool{}}
}

func (n *network) Probe(_ context.Context, target probe.Target) probe.Result {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialled[target.Address] = true
	return n.results[target.Address.String()+target.Path]
}

// answer sets the result of a URL without its scheme.
func (n *network) answer(url string, result probe.Result) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.results[url] = result
}

// run runs an agent on node until the spec ends, or until stop is called.
func (n *network) run(node string) (stop func()) {
	GinkgoHelper()
	c, err := agent.NewClient(config, "test")
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		(&agent.Agent{Client: c, NodeName: node, Prober: n, Workers: 8}).Run(ctx)
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	DeferCleanup(stop)
	return stop
}

// assign creates the NodeReachability of node, which dials addresses.
func assign(ctx context.Context, node string, addresses ...string) *v1alpha1.NodeReachability {
	GinkgoHelper()
	reachability := &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: node},
		Spec: v1alpha1.NodeReachabilitySpec{
			HeartbeatSeconds: 1,
			Targets:          []v1alpha1.Target{{Node: "other", Addresses: addresses}},
		},
	}
	Expect(k8s.Create(ctx, reachability)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(k8s.Delete(ctx, reachability))).To(Succeed())
	})
	return reachability
}

// expose creates a Service as the operator does, probed every second on path.
func expose(ctx context.Context, name string, nodePort int32, path string) *corev1.Service {
	GinkgoHelper()
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceDefault,
			Name:      name,
			Labels:    map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue},
			Annotations: map[string]string{
				v1alpha1.ProbeAnnotation: `{"path":"` + path + `","periodSeconds":1,"timeoutSeconds":1}`,
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "ExposedApp",
				Name: name, UID: "1", Controller: new(true),
			}},
		},
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeNodePort,
			Ports: []corev1.ServicePort{{Name: v1alpha1.PortName, Port: 80, NodePort: nodePort}},
		},
	}
	Expect(k8s.Create(ctx, svc)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(k8s.Delete(ctx, svc))).To(Succeed())
	})
	return svc
}

// reportOf returns what polls the report of node.
func reportOf(ctx context.Context, node string) func(Gomega) v1alpha1.NodeReachabilityStatus {
	return func(g Gomega) v1alpha1.NodeReachabilityStatus {
		var reachability v1alpha1.NodeReachability
		g.Expect(k8s.Get(ctx, client.ObjectKey{Name: node}, &reachability)).To(Succeed())
		return reachability.Status
	}
}
