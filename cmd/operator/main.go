// The operator turns ExposedApps into Deployments and NodePort Services, tells
// the agents what to dial, and writes what they found into the status.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/leaderelection"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsregistry "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/controller/exposedapp"
	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
	"github.com/exposedapp/exposedapp/internal/lease"
	"github.com/exposedapp/exposedapp/internal/listwatch"
	"github.com/exposedapp/exposedapp/internal/metrics"
	"github.com/exposedapp/exposedapp/internal/metricsauth"
	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/feed"
)

// version is set by the linker.
var version = "dev"

// options are the command line.
type options struct {
	metricsAddress string
	probeAddress   string
	leaderElect    bool
	leaseNamespace string
	workers        int
	expectedNodes  string
}

func main() {
	var opts options
	flag.StringVar(&opts.metricsAddress, "metrics-bind-address", ":8443",
		"address of the metrics endpoint, served over TLS to those that may get /metrics; 0 turns it off")
	flag.StringVar(&opts.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flag.BoolVar(&opts.leaderElect, "leader-elect", false, "let one of several replicas work at a time")
	flag.StringVar(&opts.leaseNamespace, "leader-elect-resource-namespace", "",
		"namespace of the lease by which replicas elect the one that works; that of the pod if empty")
	flag.IntVar(&opts.workers, "workers", 16, "ExposedApps that are reconciled at a time")
	flag.StringVar(&opts.expectedNodes, "expected-nodes", "",
		"label selector of the nodes that are expected to answer for any ExposedApp; all are if empty")
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))

	if err := restartOnLostLease(func() error { return run(opts) }); err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

func run(opts options) error {
	expected, err := opts.nodeSelector()
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	// The API server's own priority and fairness limits the operator.
	config.QPS = -1
	// To compress lists takes both sides longer than to send them.
	config.DisableCompression = true
	config.UserAgent = v1alpha1.OperatorName + "/" + version

	ctx := ctrl.SetupSignalHandler()
	if err := awaitAPIServer(ctx, config, opts.probeAddress); err != nil {
		return err
	}
	state, health := reachability.NewState(), listwatch.NewHealth(clock.RealClock{})
	mgr, err := newManager(config, opts, health)
	if err != nil {
		return err
	}
	reports, err := feed.NewReports(config, state, clock.RealClock{}, health)
	if err != nil {
		return err
	}
	// The reports come while the manager fills its caches.
	go reports.Run(ctx)
	apps := &exposedapp.Reconciler{
		Client:   mgr.GetClient(),
		Recorder: mgr.GetEventRecorder(v1alpha1.OperatorName),
		State:    state,
		Reports:  reports,
		Clock:    clock.RealClock{},

		ExpectedNodes: expected,
	}
	// A standby keeps its caches and the agents' reports warm.
	warm := true
	if err := apps.SetupWithManager(ctx, mgr, controller.Options{
		MaxConcurrentReconciles: opts.workers, EnableWarmup: &warm, ReconciliationTimeout: time.Minute,
	}); err != nil {
		return fmt.Errorf("set up exposedapp: %w", err)
	}
	nodes := &nodereachability.Reconciler{
		Client:   mgr.GetClient(),
		Rechecks: state,
		Reports:  state,
		Writes:   flowcontrol.NewTokenBucketRateLimiter(100, 100),
		Clock:    clock.RealClock{},
	}
	if err := nodes.SetupWithManager(mgr, reports, controller.Options{
		EnableWarmup: &warm, ReconciliationTimeout: time.Minute,
	}); err != nil {
		return fmt.Errorf("set up nodereachability: %w", err)
	}
	for _, collector := range []prometheus.Collector{
		metrics.New(mgr.GetCache(), state, mgr.Elected(), clock.RealClock{}), metrics.NewWatches(health),
	} {
		if err := metricsregistry.Registry.Register(collector); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	if err := mgr.Add(scavenger{}); err != nil {
		return fmt.Errorf("add the scavenger: %w", err)
	}
	return mgr.Start(ctx)
}

// nodeSelector returns what selects the nodes that are expected to answer, nil for all.
func (o options) nodeSelector() (labels.Selector, error) {
	if o.expectedNodes == "" {
		return nil, nil
	}
	selector, err := labels.Parse(o.expectedNodes)
	if err != nil {
		return nil, fmt.Errorf("--expected-nodes %q is not a label selector, such as "+
			"'!node.kubernetes.io/exclude-from-external-load-balancers,type!=virtual-kubelet': %w", o.expectedNodes, err)
	}
	return selector, nil
}

// Short, so that a node that fails with the leader on it is told of as soon
// as any other, also where no operator is left and a new one has to start. A
// leader that lets go too early does no harm: the standby is warm.
const (
	leaseDuration = 3 * time.Second
	renewDeadline = 2 * time.Second
	retryPeriod   = 700 * time.Millisecond
)

// elect returns the lock by which the leader is elected, nil where there is no election, and
// the way to the API server on which the leader alone writes.
func elect(config *rest.Config, opts options) (resourcelock.Interface, *rest.Config, error) {
	lock, err := leaderelection.NewResourceLock(config, noEvents{}, leaderelection.Options{
		LeaderElection: opts.leaderElect, LeaderElectionID: v1alpha1.OperatorName, RenewDeadline: renewDeadline,
		// Outside of a cluster there is no pod to tell.
		LeaderElectionNamespace: opts.leaseNamespace,
	})
	if err != nil || lock == nil {
		return nil, config, err
	}
	fence, fenced := lease.NewFence(lock, leaseDuration), rest.CopyConfig(config)
	fenced.Wrap(fence.Wrap)
	return fence, fenced, nil
}

// noEvents provides no recorder: who leads is written in the lease.
type noEvents struct{ recorder.Provider }

// GetEventRecorderFor implements recorder.Provider.
func (noEvents) GetEventRecorderFor(string) record.EventRecorder { return nil }

func newManager(config *rest.Config, opts options, health *listwatch.Health) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, discoveryv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	cached, err := operatorcache.Options(config, health)
	if err != nil {
		return nil, err
	}
	lock, config, err := elect(config, opts)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache:  cached,
		Client: client.Options{
			FieldOwner: v1alpha1.OperatorName,
			Cache:      &client.CacheOptions{EnableReadYourWritesConsistency: new(true)},
		},
		Metrics: metricsserver.Options{
			BindAddress:    opts.metricsAddress,
			SecureServing:  true,
			FilterProvider: metricsauth.WithTokenReview,
		},
		HealthProbeBindAddress: opts.probeAddress,

		LeaderElection:                      opts.leaderElect,
		LeaderElectionResourceLockInterface: lock,
		LeaseDuration:                       new(leaseDuration),
		RenewDeadline:                       new(renewDeadline),
		RetryPeriod:                         new(retryPeriod),
		// The process ends right after the manager, so the lease can be let go.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	return mgr, mgr.AddReadyzCheck("watches", health.Check)
}
