package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
)

// lostLease is how the manager says that it no longer leads; it exports no error
// for it.
const lostLease = "leader election lost"

// outlast runs the operator, anew each time it has lost its lease: in place,
// since the kubelet lets a container that ended in one outage of the API server
// wait ever longer in the next.
func outlast(run func() error) error {
	err := run()
	if err == nil || err.Error() != lostLease {
		return err
	}
	ctrl.Log.Info("Beginning anew, for the lease is lost")
	// A new program rather than a new manager: of the old one, nothing goes on.
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// awaitAPIServer waits until the API server is ready. Meanwhile the operator is
// alive, and not ready.
func awaitAPIServer(ctx context.Context, config *rest.Config, probeAddress string) error {
	server, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	stop, err := seemAlive(ctx, probeAddress)
	if err != nil {
		return err
	}
	defer stop()

	told := false
	return wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		err := server.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		// Whoever refuses to tell is there.
		if err == nil || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			return true, nil
		}
		if !told {
			ctrl.Log.Error(err, "Waiting for the API server")
			told = true
		}
		return false, nil
	})
}

// seemAlive answers the liveness probe until the manager does.
func seemAlive(ctx context.Context, probeAddress string) (stop func(), err error) {
	if probeAddress == "" || probeAddress == "0" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", probeAddress)
	if err != nil {
		return nil, err
	}
	probes := http.NewServeMux()
	probes.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Handler: probes, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	return func() { _ = server.Close() }, nil
}
