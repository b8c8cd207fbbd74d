package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/probe"
)

const (
	// fleetWriters is how many reports are written at a time.
	fleetWriters = 512

	// explained is of how many apps an agent gathers evidence.
	explained = 64
)

// writing is a report to be written.
type writing struct {
	agent    *simulated
	node     string
	uid      types.UID
	status   v1alpha1.NodeReachabilityStatus
	patience time.Duration
}

// startWrite has the report of an agent written.
func (f *fleetActor) startWrite(a *simulated, now time.Duration) {
	status := f.snapshot(a).Status()
	status.ObservedGeneration = a.generation
	status.RecheckRound = a.done
	status.ServicesResourceVersion = fmt.Sprint(f.services)
	status.RenewTime = new(metav1.NowMicro())
	status.Probes = f.statistics(a, now)
	a.pacer.Write(now)
	a.writing, a.turned = true, false
	f.jobs <- writing{a, a.node.name, a.uid, status, a.pacer.WriteTimeout()}
}

// write writes one report after the other, each as the agent of its node.
func (f *fleetActor) write(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case job := <-f.jobs:
			err := f.apply(ctx, job)
			if err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, err)
			}
			f.post(ctx, func(now time.Duration) { f.finishWrite(job.agent, now, err) })
		}
	}
}

func (f *fleetActor) apply(ctx context.Context, job writing) error {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, onNode{}, job.node), job.patience)
	defer cancel()
	return f.client.ReplaceStatus(ctx, job.node, job.uid, job.status)
}

func (f *fleetActor) finishWrite(a *simulated, now time.Duration, err error) {
	a.writing = false
	if err == nil {
		f.reports++
		a.pacer.Wrote(now)
	} else {
		a.pacer.Failed(now)
	}
	f.plan(a)
}

// snapshot is what an agent knows, in the form of the real one.
func (f *fleetActor) snapshot(a *simulated) reporter.Snapshot {
	addresses := make([]netip.Addr, 0, len(a.targets))
	for i := range a.targets {
		addresses = append(addresses, a.targets[i].address)
	}
	c := reporter.NewCollector(addresses)
	for port := range f.served.All() {
		c.Serve(port, true, false)
	}
	understood := f.understood(a)
	for i := range a.targets {
		t := &a.targets[i]
		for _, port := range portsOf(t.pending) {
			c.Add(i, port, reporter.FailureCause{})
		}
		for slot := range t.failing.all() {
			c.Add(i, portOf(slot), f.clueTo(t, slot, understood.has(slot)).cause())
		}
	}
	return c.Snapshot()
}

// understood returns the apps of which an agent gathers evidence.
func (f *fleetActor) understood(a *simulated) (some portBits) {
	var failing portBits
	for i := range a.targets {
		for w := range failing {
			if t := &a.targets[i]; !t.own {
				failing[w] |= t.failing[w]
			}
		}
	}
	n := 0
	for slot := range failing.all() {
		some.set(slot, true)
		if n++; n == explained {
			break
		}
	}
	return some
}

// clue is what an agent finds out of a failing pair, as bits.
type clue uint8

const (
	// silentClue: nothing answers, rather than to refuse.
	silentClue clue = 1 << iota
	// triedClue: other ways were tried.
	triedClue
	// appClue: it is the app that fails, not the node.
	appClue
	// podClue: the app has a pod that counts as ready.
	podClue
)

func (f *fleetActor) clueTo(t *dialled, slot int, tried bool) clue {
	var c clue
	if f.breaks.at(t.node, slot).silent {
		c |= silentClue
	}
	if !tried || t.own {
		return c
	}
	c |= triedClue
	if !t.node.broken && !t.node.pairs.has(slot) {
		c |= appClue
	}
	if f.ready.has(slot) {
		c |= podClue
	}
	return c
}

func (c clue) cause() reporter.FailureCause {
	result := probe.Result{Reason: probe.ConnectionRefused, Message: "connect: connection refused"}
	if c&silentClue != 0 {
		result = probe.Result{Reason: probe.Timeout, Message: "i/o timeout"}
	}
	cause := reporter.FailureCause{Result: result}
	if c&triedClue == 0 {
		return cause
	}
	app, node := string(probe.ConnectionRefused), v1alpha1.EvidenceReached
	if c&appClue == 0 {
		app, node = v1alpha1.EvidenceReached, string(result.Reason)
	}
	cause.Evidence = v1alpha1.Evidence{ClusterIP: app, KubeProxy: node}
	if c&podClue != 0 {
		cause.Evidence.Pod = app
	}
	return cause
}

// statistics are about what a real agent would have counted.
func (f *fleetActor) statistics(a *simulated, now time.Duration) *v1alpha1.ProbeStatistics {
	probes := int64(0)
	for declared, apps := range f.periods {
		period := stretched(declared, a.size, len(a.targets), f.periods)
		probes += int64(float64(apps*len(a.targets)) * (1 + (now-a.begins).Seconds()/period.Seconds()))
	}
	return &v1alpha1.ProbeStatistics{
		StartTime: metav1.NewTime(f.began.Add(a.begins)),
		Results:   []v1alpha1.ProbeCount{{Result: v1alpha1.EvidenceReached, Count: probes}},
		Latency: &v1alpha1.ProbeLatency{
			BoundsMilliseconds: []int32{1, 3, 10, 30, 100, 300, 1000, 10_000},
			Counts:             []int64{probes, 0, 0, 0, 0, 0, 0, 0, 0},
			SumMicroseconds:    probes * 700,
		},
	}
}

// onNode is the key in a context for the node whose agent makes a request.
type onNode struct{}

// agentsConfig returns the configuration of every agent of the fleet: each request
// impersonates the one on the node that its context names, as the API server would
// know it by its token. Roles and policies are those of real ones.
func agentsConfig() (*rest.Config, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, err
	}
	config.UserAgent = v1alpha1.AgentName + "/bench"
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &asAgent{next} })
	return config, nil
}

type asAgent struct{ next http.RoundTripper }

func (r *asAgent) RoundTrip(request *http.Request) (*http.Response, error) {
	who := transport.ImpersonationConfig{
		UserName: "system:serviceaccount:" + system + ":" + v1alpha1.AgentName,
		Groups:   []string{serviceAccounts, serviceAccounts + ":" + system, authenticated},
	}
	if node, ok := request.Context().Value(onNode{}).(string); ok {
		who.Extra = map[string][]string{"authentication.kubernetes.io/node-name": {node}}
	}
	return transport.NewImpersonatingRoundTripper(who, r.next).RoundTrip(request)
}
