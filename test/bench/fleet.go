package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
	"github.com/exposedapp/exposedapp/test/gen"
)

// largeCluster measures a cluster of the largest size that Kubernetes supports,
// with an app on every node port of the default range.
func largeCluster(ctx context.Context, b *bench) error {
	// Agents that all start at once would also write at once ever after, but for
	// their jitter. Those of a DaemonSet do not: here they start within a heartbeat.
	return clusterOf(ctx, b, 5000, portCount, 5*time.Minute)
}

// mediumCluster measures the same of one that a small machine can play with ease.
func mediumCluster(ctx context.Context, b *bench) error {
	return clusterOf(ctx, b, 500, 500, 30*time.Second)
}

// clusterOf measures a cluster of a size, of which the agents start within spread.
func clusterOf(ctx context.Context, b *bench, nodes, apps int, spread time.Duration) error {
	nodes, apps, spread = pick(b, nodes, 12), pick(b, apps, 6), pick(b, spread, time.Second)
	if err := probesPerApp(b, apps); err != nil {
		return err
	}
	s, err := newStage(ctx, b, nodes, apps, spread)
	if err != nil {
		return err
	}
	if err := s.observers(ctx); err != nil {
		return err
	}
	if err := s.calm(ctx); err != nil {
		return err
	}
	// Before there is trouble, in which observers are asked to look again.
	if err := s.join(ctx); err != nil {
		return err
	}
	troubles := s.troubles()
	for _, t := range troubles[:pick(b, len(troubles), 1)] {
		if err := s.endure(ctx, t); err != nil {
			return err
		}
	}
	resident, err := s.operator.resident()
	if err != nil {
		return err
	}
	b.report(b.name+"_operator_resident_end_mib", "MiB", resident/(1<<20))
	return s.sizes()
}

// probesPerApp works out how many probes all agents make of one app, at several
// sizes of the cluster, from what the operator asks of them.
func probesPerApp(b *bench, apps int) error {
	most := 0.0
	const declared = 5 * time.Second
	for _, n := range []int{1, 2, 3, 9, 10, 16, 17, 50, 100, 166, 167, 500, 1000, 2000, 5000} {
		nodes := make([]corev1.Node, 0, n)
		for i := range n {
			nodes = append(nodes, *gen.Node(nodeName(i), nodeAddress(i).String()))
		}
		probes := 0.0
		for _, spec := range nodereachability.Specs(nodes, 0) {
			period := stretched(declared, int(spec.ClusterSize), len(spec.Targets), map[time.Duration]int{declared: apps})
			probes += float64(len(spec.Targets)) / period.Seconds()
		}
		b.logf("%d nodes: %.1f probes per second of an app", n, probes)
		most = max(most, probes)
	}
	b.report(b.name+"_probes_per_app", "1/s", most)
	return nil
}

// observers counts, for every node, the others that dial it.
func (s *stage) observers(ctx context.Context) error {
	reachabilities, err := s.reachabilities(ctx)
	if err != nil {
		return err
	}
	dialledBy := make(map[string]int, len(reachabilities))
	for i := range reachabilities {
		for _, target := range reachabilities[i].Spec.Targets {
			if target.Node != reachabilities[i].Name {
				dialledBy[target.Node]++
			}
		}
	}
	var counts []float64
	for i := range reachabilities {
		counts = append(counts, float64(dialledBy[reachabilities[i].Name]))
	}
	s.report(s.name+"_observers", "", counts...)
	return nil
}

// calm measures while nothing happens, for as long as it takes every agent to
// renew its report.
func (s *stage) calm(ctx context.Context) error {
	reachabilities, err := s.reachabilities(ctx)
	if err != nil {
		return err
	}
	length := pick(s.bench, time.Duration(reachabilities[0].Spec.HeartbeatSeconds)*time.Second, time.Second)
	// What came before has its echoes.
	if err := sleep(ctx, pick(s.bench, 30*time.Second, time.Second)); err != nil {
		return err
	}
	s.logf("calm for %s", length)
	began := time.Now()
	begun, err := s.cluster.mark()
	if err != nil {
		return err
	}
	cpu, err := s.operator.cpu()
	if err != nil {
		return err
	}
	var resident []float64
	for time.Since(began) < length {
		bytes, err := s.operator.resident()
		if err != nil {
			return err
		}
		resident = append(resident, bytes/(1<<20))
		if err := sleep(ctx, min(5*time.Second, length)); err != nil {
			return err
		}
	}
	seconds := time.Since(began).Seconds()
	after, err := s.operator.cpu()
	if err != nil {
		return err
	}
	written, err := s.written(begun)
	if err != nil {
		return err
	}
	s.report(s.name+"_steady_writes_per_second", "1/s", float64(len(written))/seconds)
	s.report(s.name+"_steady_peak", "1/s", peak(written))
	s.report(s.name+"_steady_cr_writes", "", float64(count(written, writesApp)))
	s.report(s.name+"_operator_cpu", "cores", (after-cpu).Seconds()/seconds)
	s.report(s.name+"_operator_resident_mib", "MiB", resident...)
	return nil
}

func writesApp(r request) bool {
	return r.resource == "exposedapps" || r.resource == "exposedapps/status"
}

// sizes are those of the largest objects that there were.
func (s *stage) sizes() error {
	state, err := s.fleet.state()
	if err != nil {
		return err
	}
	whole, bare := s.verdicts.sizes()
	s.report(s.name+"_app_bytes", "B", float64(bare))
	s.report(s.name+"_app_bytes_with_managed_fields", "B", float64(whole))
	s.report(s.name+"_report_bytes", "B", float64(state.Largest))
	return nil
}

// join has one more node join, and counts the lists that the operator writes.
func (s *stage) join(ctx context.Context) error {
	begun, err := s.cluster.mark()
	if err != nil {
		return err
	}
	began := time.Now()
	joined := nodeName(s.world.nodes)
	if err := s.world.addNodes(1); err != nil {
		return err
	}
	s.verdicts.expect(func(t *truth) { t.nodes = append(t.nodes, joined) })
	if err := s.awaitAssignments(ctx, s.world.nodes); err != nil {
		return err
	}
	if right, err := s.verdicts.awaitRight(ctx, 10*time.Minute); err != nil {
		s.logf("a node joined: %s", err)
	} else {
		s.report(s.name+"_node_joins_right_after", "s", right.Sub(began).Seconds())
	}
	// What is still to be written is part of it, and not of what comes next.
	if err := sleep(ctx, pick(s.bench, 45*time.Second, time.Second)); err != nil {
		return err
	}
	written, err := s.written(begun)
	if err != nil {
		return err
	}
	s.report(s.name+"_lists_changed", "", float64(count(written, func(r request) bool {
		return r.resource == "nodereachabilities" && r.agent == v1alpha1.OperatorName
	})))
	return nil
}
