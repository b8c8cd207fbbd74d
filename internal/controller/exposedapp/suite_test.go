package exposedapp_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/controller/exposedapp"
	"github.com/exposedapp/exposedapp/internal/listwatch"
	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/feed"
)

var (
	testEnv      *envtest.Environment
	config       *rest.Config
	k8s          client.Client
	stopOperator func()
	// writes are the operator's requests that would change an object.
	writes requestLog
)

func TestExposedApp(t *testing.T) {
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(10 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "ExposedApp against a real API server")
}

var _ = BeforeSuite(func(ctx context.Context) {
	Expect(os.Getenv("KUBEBUILDER_ASSETS")).NotTo(BeEmpty(), "run make test-unit, which names the API server")
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	testEnv = &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	var err error
	config, err = testEnv.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return testEnv.Stop() })
	config.QPS = -1

	k8s, err = client.New(config, client.Options{Scheme: newScheme()})
	Expect(err).NotTo(HaveOccurred())
	createNodes(ctx)
	startOperator()
	DeferCleanup(func() { stopOperator() })
})

func newScheme() *runtime.Scheme {
	types := runtime.NewScheme()
	Expect(scheme.AddToScheme(types)).To(Succeed())
	Expect(v1alpha1.AddToScheme(types)).To(Succeed())
	return types
}

// startOperator runs the reconciler as cmd/operator does, but for what a
// cluster alone gives it. stopOperator ends it.
func startOperator() {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	skipNames := true
	ownWrites := true
	logged := rest.CopyConfig(config)
	logged.Wrap(writes.wrap)
	state, health := reachability.NewState(), listwatch.NewHealth(clock.RealClock{})
	cached, err := operatorcache.Options(logged, health)
	Expect(err).NotTo(HaveOccurred())
	reports, err := feed.NewReports(logged, state, clock.RealClock{}, health)
	Expect(err).NotTo(HaveOccurred())
	mgr, err := ctrl.NewManager(logged, ctrl.Options{
		Scheme: newScheme(),
		Cache:  cached,
		Client: client.Options{
			FieldOwner: v1alpha1.OperatorName,
			Cache:      &client.CacheOptions{EnableReadYourWritesConsistency: &ownWrites},
		},
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	Expect(err).NotTo(HaveOccurred())
	reconciler := &exposedapp.Reconciler{
		Client:   mgr.GetClient(),
		Recorder: mgr.GetEventRecorder(v1alpha1.OperatorName),
		State:    state,
		Reports:  reports,
		Clock:    clock.RealClock{},
	}
	Expect(reconciler.SetupWithManager(ctx, mgr, controller.Options{
		MaxConcurrentReconciles: 4, SkipNameValidation: &skipNames,
	})).To(Succeed())
	done := make(chan error)
	var fed sync.WaitGroup
	fed.Go(func() { reports.Run(ctx) })
	go func() { done <- mgr.Start(ctx) }()
	stopOperator = func() {
		cancel()
		Expect(<-done).To(Succeed())
		fed.Wait()
	}
}

// requestLog notes the paths of requests that are no reads, and the lists of pods, which
// no cache answers.
type requestLog struct {
	mu    sync.Mutex
	paths []string
	pods  []*url.URL
}

// podsIn returns what was asked for whenever the pods of a namespace were read.
func (l *requestLog) podsIn(namespace string) []url.Values {
	l.mu.Lock()
	defer l.mu.Unlock()
	var asked []url.Values
	for _, one := range l.pods {
		if strings.Contains(one.Path, "/namespaces/"+namespace+"/") {
			asked = append(asked, one.Query())
		}
	}
	return asked
}

// in returns how many requests went to a namespace.
func (l *requestLog) in(namespace string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, path := range l.paths {
		if strings.Contains(path, "/namespaces/"+namespace+"/") {
			n++
		}
	}
	return n
}

func (l *requestLog) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		if request.Method == http.MethodGet && strings.Contains(request.URL.Path, "/pods") {
			l.mu.Lock()
			l.pods = append(l.pods, request.URL)
			l.mu.Unlock()
		}
		// Events are told after the fact, and late.
		if request.Method != http.MethodGet && !strings.Contains(request.URL.Path, "/events") {
			l.mu.Lock()
			l.paths = append(l.paths, request.URL.Path)
			l.mu.Unlock()
		}
		return next.RoundTrip(request)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
