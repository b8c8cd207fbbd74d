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
// One goroutine, the loop, owns all state. The schedule says which probe is next
// and what a result means; its survey becomes a status in package report, whose
// Pacer says when to write. All of them are plain values that take the time as an
// argument, and none knows of goroutines, channels or the API server.
//
// # From a failure to a report
//
// A pair that was reached is probed once per period. If the answer is missing
// for 300 ms, a second probe starts beside the first; if the probe fails before
// that, the second starts 100 ms after. Probes go on in this way until as many
// have failed in a row as the Service's failure threshold says, and the first
// success ends it all. With the defaults (period 5 s, timeout 2 s, threshold 2)
// a node port that begins to refuse connections is thus known to fail at most
// 5.1 s later, and one that falls silent at most 7.3 s later. Another 100 ms
// gather what comes in a burst into one report.
//
// A change of a Service's ready or serving endpoints has its pairs probed 300 ms
// later, and so does a recheck, by which the operator asks for newer results
// where observers disagree, at once. Neither forgets what is known.
//
// # The agent's own health
//
// A node that is cut off must not accuse the others one by one. So the first
// sign of trouble with a pair of another node, no answer after 300 ms or a
// failure, opens a doubt, and up to 16 pairs of other nodes are probed at once.
// Any answer of another node to a probe that began after that ends it, usually
// within milliseconds. Until then no report is written, for 3 s at most. If no
// answer comes, the pairs of other nodes that were reached are pending until
// they are probed anew. Where there is nobody else to ask, or the others fail as
// well, silence is thus reported up to 300 ms later. What a node answers itself
// proves nothing here.
//
// A process that was stopped for 10 s, with its container or its machine, begins
// anew as after a restart.
//
// # Evidence
//
// From the first sign of trouble on, and while a pair of another node fails, the
// agent tries other ways: a ready pod at its own address, the Service's cluster
// IP, and the health port of the node's kube-proxy. What it finds goes with the
// failure into the report, which does not wait for it. An agent outside of the
// cluster has no other way, and dials node ports alone.
//
// # Budgets
//
// Periods stretch so that an app meets no more than 35 probes per second from all
// nodes together, whatever their number, and beyond that so that the agent itself
// makes no more than 500. Where they are long, the first port of another node
// that fails while other nodes serve it, or that is back, has the agent look at
// all other ports of that node within seconds.
//
// The operator lengthens the heartbeat as the cluster grows. By the same factor
// the agents spread the first probes of a new Service and those after a change of
// endpoints, and write changes later. Doubts add 64 probes per second at most.
// Evidence is gathered about 64 apps and 16 nodes at once, in four attempts at a
// time, which count among the probes under way.
//
// # An app harms its own verdict only
//
// Pairs that are due wait for one of the agent's workers in lanes, by how long they
// may hold it: those that were reached quickly come first, and those known to be slow
// get half of the workers, the ones with long timeouts half of that. A probe without an
// answer after 300 ms is slow from then on, and is given up, without a result, where
// slow ones hold more than their share and others wait. Among the rest the app goes
// first of which probes held workers for the least time lately. A pair that is not
// reached has one probe under way at most.
//
// What is known of a pair is reported for one cycle: its period, its timeout, and the
// time that a confirmation takes. If no probe got a result by then, the pair is pending.
//
// # What a report must not say
//
// Results belong to a Service in one form: its UID, its node port, its routing
// and its probe settings. A Service that changes in any of these begins anew, and
// answers to probes that started before count no more. Where the port had another
// owner or routing a moment ago, probing waits until the proxies of the nodes
// had the time to follow.
package agent

import (
	"context"
	"sync"

	"k8s.io/klog/v2"

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
