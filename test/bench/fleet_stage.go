package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// fleet is a subject that plays the agents of all nodes: they watch and write
// through the real API server, by the real roles and policies, with the agent's own
// code for what a report says and when it is written. What they would find when
// they dial is in a table of what is broken.
type fleet struct{ *player }

// startFleet starts the agents of all nodes that there are and will be, each at
// some time within spread.
func startFleet(ctx context.Context, b *bench, c *cluster, spread time.Duration) (*fleet, error) {
	p, err := startPlayer(ctx, b, c, "fleet", strconv.FormatFloat(spread.Seconds(), 'f', -1, 64))
	return &fleet{p}, err
}

// turn breaks or mends something.
func (f *fleet) turn(direction Break) error { return f.direct("Break", direction, new(struct{})) }

func (f *fleet) state() (state FleetState, err error) {
	err = f.direct("State", struct{}{}, &state)
	return state, err
}

// awaitReports waits until so many agents have reported with proof of everything.
func (f *fleet) awaitReports(ctx context.Context, agents int, atMost time.Duration) error {
	return await(ctx, fmt.Sprintf("the reports of %d agents", agents), atMost, func() (bool, error) {
		state, err := f.state()
		return err == nil && state.Agents >= agents, err
	})
}

// stage is a cluster with all that an app's status takes: the real operator, and
// a world and a fleet that play the rest.
type stage struct {
	*bench
	cluster  *cluster
	world    *world
	operator *process
	fleet    *fleet
	verdicts *verdicts
	apps     []types.NamespacedName
	// ports are those of the apps.
	ports []uint16
}

// stageNamespace is that of the apps.
const stageNamespace = "bench"

// newStage makes a stage and waits until every verdict is right. The agents start
// within spread.
func newStage(ctx context.Context, b *bench, nodes, apps int, spread time.Duration) (*stage, error) {
	s := &stage{bench: b}
	var err error
	if s.cluster, err = startCluster(ctx, b, clusterOptions{}); err != nil {
		return nil, err
	}
	if s.world, err = startWorld(ctx, b, s.cluster, nodes); err != nil {
		return nil, err
	}
	if s.operator, err = s.cluster.startOperator(ctx, b); err != nil {
		return nil, err
	}
	if s.verdicts, err = watchVerdicts(ctx, b, s.cluster); err != nil {
		return nil, err
	}
	s.verdicts.expect(func(t *truth) {
		for i := range nodes {
			t.nodes = append(t.nodes, nodeName(i))
		}
	})
	b.logf("creating %d apps", apps)
	if err := createNamespace(ctx, s.cluster, stageNamespace); err != nil {
		return nil, err
	}
	if err := createApps(ctx, s.cluster, stageNamespace, 0, apps); err != nil {
		return nil, err
	}
	if err := s.verdicts.awaitPorts(ctx, apps); err != nil {
		return nil, err
	}
	if err := s.awaitAssignments(ctx, nodes); err != nil {
		return nil, err
	}
	b.logf("starting %d agents within %s", nodes, spread)
	if s.fleet, err = startFleet(ctx, b, s.cluster, spread); err != nil {
		return nil, err
	}
	if err := s.fleet.awaitReports(ctx, nodes, spread+10*time.Minute); err != nil {
		return nil, err
	}
	b.logf("all agents have reported")
	if _, err := s.verdicts.awaitRight(ctx, 5*time.Minute); err != nil {
		return nil, err
	}
	s.apps, s.ports = s.verdicts.exposed()
	b.logf("all verdicts are right")
	return s, s.operator.alive()
}

// awaitAssignments waits until every agent knows what to dial.
func (s *stage) awaitAssignments(ctx context.Context, nodes int) error {
	return await(ctx, "the assignments of all agents", 10*time.Minute, func() (bool, error) {
		list := metadata(v1alpha1.SchemeGroupVersion.WithKind("NodeReachabilityList"))
		err := s.cluster.admin.List(ctx, list)
		return len(list.Items) == nodes, err
	})
}

// reachabilities are what the agents are asked for.
func (s *stage) reachabilities(ctx context.Context) ([]v1alpha1.NodeReachability, error) {
	var list v1alpha1.NodeReachabilityList
	err := s.cluster.admin.List(ctx, &list, &client.ListOptions{})
	return list.Items, err
}

// written are the writes of the operator and of the agents since a place in the
// audit log.
func (s *stage) written(since mark) ([]request, error) {
	all, err := s.cluster.requests(since)
	return slices.DeleteFunc(all, func(r request) bool {
		return !r.write() || r.agent != v1alpha1.OperatorName && r.agent != v1alpha1.AgentName
	}), err
}

// endpointsTold is when the world last wrote which pods are ready, since a place in the
// audit log. Nobody can know of it earlier.
func (s *stage) endpointsTold(since mark) (last time.Time, err error) {
	all, err := s.cluster.requests(since)
	for _, r := range all {
		if r.write() && r.resource == "endpointslices" && r.at.After(last) {
			last = r.at
		}
	}
	return last, err
}

// peak returns the most requests per second in any 10 seconds.
func peak(requests []request) float64 {
	const window = 10 * time.Second
	times := make([]time.Time, 0, len(requests))
	for _, r := range requests {
		times = append(times, r.at)
	}
	slices.SortFunc(times, time.Time.Compare)
	most, first := 0, 0
	for last := range times {
		for times[last].Sub(times[first]) >= window {
			first++
		}
		most = max(most, last-first+1)
	}
	return float64(most) / window.Seconds()
}
