package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// lostLease is how the manager says that it no longer leads; it exports no error
// for it.
const lostLease = "leader election lost"

// restartOnLostLease runs the operator, and again each time it has lost its lease: in place,
// since the kubelet lets a container that ended in one outage of the API server
// wait ever longer in the next.
func restartOnLostLease(run func() error) error {
	err := run()
	if err == nil || err.Error() != lostLease {
		return err
	}
	ctrl.Log.Info("Beginning anew, for the lease is lost")
	// A new program rather than a new manager: of the old one, nothing goes on.
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// awaitAPIServer waits until the API server says that it serves the operator's
// kinds. One that is starting at first refuses to say. Meanwhile the operator is
// alive, and not ready.
func awaitAPIServer(ctx context.Context, config *rest.Config, probeAddress string) error {
	impatient := rest.CopyConfig(config)
	impatient.Timeout = 5 * time.Second
	server, err := discovery.NewDiscoveryClientForConfig(impatient)
	if err != nil {
		return err
	}
	stop, err := serveEarlyHealthz(ctx, probeAddress)
	if err != nil {
		return err
	}
	defer stop()

	logged := false
	return wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		groups, err := server.ServerGroupsWithContext(ctx)
		if err == nil && !serves(groups) {
			err = fmt.Errorf("it does not serve %s: apply the CustomResourceDefinitions", v1alpha1.SchemeGroupVersion)
		}
		if err != nil && !logged {
			ctrl.Log.Error(err, "Waiting for the API server")
			logged = true
		}
		return err == nil, nil
	})
}

func serves(groups *metav1.APIGroupList) bool {
	return slices.ContainsFunc(groups.Groups, func(group metav1.APIGroup) bool {
		return group.Name == v1alpha1.SchemeGroupVersion.Group
	})
}

// serveEarlyHealthz answers the liveness probe until the manager does.
func serveEarlyHealthz(ctx context.Context, probeAddress string) (stop func(), err error) {
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
