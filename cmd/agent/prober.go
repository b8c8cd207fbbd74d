package main

import (
	"context"
	"fmt"
	"net"

	"github.com/go-logr/logr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/rawsyn"
	"github.com/exposedapp/exposedapp/internal/sockdiag"
)

// newProber returns what probes node ports. With raw it asks nodes themselves where
// dials are translated.
func newProber(ctx context.Context, log logr.Logger, raw bool) (agent.Prober, error) {
	prober := probe.New(newDialer(log), v1alpha1.AgentName+"/"+version)
	if !raw {
		return prober, nil
	}
	if err := rawsyn.Check(ctx); err != nil {
		return nil, fmt.Errorf("--raw-probe needs uid 0 and the capability NET_RAW, as config/components/raw-probe has it: %w", err)
	}
	return probe.NewProver(prober, rawsyn.Sender{}), nil
}

// newDialer returns what dials node ports. Where the kernel does not tell which way it
// takes a dial, that counts as direct, and the report says that it is not known.
func newDialer(log logr.Logger) probe.Dialer {
	kernel, err := sockdiag.Open()
	if err != nil {
		log.Error(err, "Dialling without a look at the way that the kernel takes")
		return &probe.Unwatched{Dialer: net.Dialer{KeepAlive: -1}}
	}
	if !kernel.Tells() {
		log.Info("The kernel does not tell which way it takes a dial, until its module tcp_diag is loaded")
	}
	return sockdiag.NewDialer(kernel)
}
