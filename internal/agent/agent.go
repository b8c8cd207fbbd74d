// Package agent dials the node ports of the cluster from one node and reports
// what it found. There is one agent per node, and there may be some on machines
// outside of the cluster.
//
// It watches three things: its own NodeReachability, whose spec names the
// addresses to dial; the operator's Services, which hold the node ports to dial;
// and their EndpointSlices, whose changes are a reason to look again. Every
// address and every node port in the address's IP family is a pair.
//
//	EndpointSlices ───┐
//	Services ─────────┤            ┌─▶ probes, a bounded number at once
//	                  ├─▶ loop ◀───┤
//	NodeReachability ─┘  │         └── their results
//	       ▲             │
//	       └─── report ◀─┘
//
// One goroutine, the loop, owns all state. Package schedule decides which pair is probed
// when and what a result means, with the help of package pace (in turn and out of turn),
// workers (an app harms its own verdict only), selfcheck (is this node in trouble?) and
// diagnosis (evidence for a failure). Package reporter turns what is known into a status
// and decides when to write it. All of them are plain values that take the time as an
// argument, and none knows of goroutines, channels or the API server.
//
// A pair that was reached is probed once per period. If the answer is missing for 300 ms, a
// second probe starts while the first is under way; if the probe fails before that, the
// second starts 100 ms after. Probes go on in this way until as many have failed in a row
// as the Service's failure threshold says, and the first success ends it all. With the
// defaults (period 5 s, timeout 2 s, threshold 2) a node port that begins to refuse
// connections is thus known to fail at most 5.1 s later, and one that falls silent at most
// 7.3 s later. Another 100 ms gather what comes in a burst into one report.
//
// Periods stretch so that an app meets no more than 35 probes per second from all nodes
// together, and beyond that so that the agent makes no more than 500. A result is reported
// for one cycle: its period, its timeout, and the time that a confirmation takes. It
// belongs to a Service in one form: its UID, node port, routing and probe settings. A
// Service that changes in any of these starts without a result.
package agent

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// Prober makes a probe. *probe.Prober is one.
type Prober interface {
	Probe(ctx context.Context, target probe.Target) probe.Result
}

// Agent dials and reports for one node, or for a machine outside of the cluster.
type Agent struct {
	// Client is as NewClient makes it.
	Client *Client

	// NodeName is the name of the Node and of its NodeReachability.
	NodeName string

	// Outside is whether there is no Node. NodeName is then the name of the
	// NodeReachability alone.
	Outside bool

	Prober Prober

	// Workers is how many probes may be under way at once.
	Workers int
}

// Run runs the agent until ctx ends.
func (a *Agent) Run(ctx context.Context) {
	l := newLoop(a.Workers, a.Prober, a.publish, klog.FromContext(ctx))
	if a.Outside {
		l.leaveNodes(a.NodeName)
	}
	var watches sync.WaitGroup
	watches.Go(func() { watchServices(ctx, a.Client, l) })
	watches.Go(func() { watchEndpoints(ctx, a.Client, l) })
	watches.Go(func() { watchAssignment(ctx, a.Client, a.NodeName, l) })
	l.run(ctx)
	watches.Wait()
}

// publish writes status to the object that asked for it.
func (a *Agent) publish(ctx context.Context, uid types.UID, status v1alpha1.NodeReachabilityStatus) error {
	if err := a.Client.ReplaceStatus(ctx, a.NodeName, uid, status); err != nil {
		return fmt.Errorf("writing the status of NodeReachability %s: %w", a.NodeName, err)
	}
	return nil
}
