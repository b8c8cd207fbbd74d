package reachability_test

import (
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// BenchmarkVerdicts judges one app on 5,000 nodes: where all answer, where no
// agent has a word yet, and where nobody gets an answer, with and without a ready pod.
func BenchmarkVerdicts(b *testing.B) {
	const size = 5000
	refuses := func(report *v1alpha1.NodeReachability) {
		report.Status.Failures = []v1alpha1.ProbeFailure{{
			Reason: v1alpha1.ReasonConnectionRefused, Message: "raw error", NodePorts: "31000",
			Addresses: report.Status.Addresses,
		}}
	}
	podless := webApp()
	podless.Endpoints = nil
	for _, c := range []struct {
		name  string
		app   reachability.App
		write func(*v1alpha1.NodeReachability)
	}{
		{"answers", webApp(), func(*v1alpha1.NodeReachability) {}},
		{"silence", webApp(), func(report *v1alpha1.NodeReachability) { report.Status.NodePorts = "" }},
		{"refusal", webApp(), refuses},
		{"podless", podless, refuses},
	} {
		b.Run(c.name, func(b *testing.B) {
			matrix := cluster(b, size, c.write)
			matrix.Observe(web, c.app, start)
			var verdicts []v1alpha1.NodeVerdict
			for b.Loop() {
				if verdicts, _ = matrix.AppendVerdicts(verdicts[:0], web, later); len(verdicts) != size {
					b.Fatalf("%d verdicts", len(verdicts))
				}
			}
		})
	}
}

// cluster returns what is known of an app on so many nodes, each with eight
// observers, of whose reports write may change something.
func cluster(b *testing.B, size int, write func(*v1alpha1.NodeReachability)) *reachability.Matrix {
	const observers = 8
	matrix := reachability.NewMatrix()
	nodes := make([]reachability.Node, size)
	for i := range nodes {
		nodes[i] = reachability.Node{
			Name: fmt.Sprintf("node-%04d", i), Ready: true,
			Addresses: map[corev1.IPFamily]netip.Addr{
				corev1.IPv4Protocol: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}),
			},
		}
	}
	matrix.Know(nodes)
	renewed := metav1.NewMicroTime(later)
	for i := range nodes {
		report := answers(nodes[i].Name)
		report.Status.RenewTime = &renewed
		report.Spec.Targets, report.Status.Addresses = nil, nil
		for turn := range observers + 1 {
			target := nodes[(i+turn)%size]
			address := target.Addresses[corev1.IPv4Protocol].String()
			report.Spec.Targets = append(report.Spec.Targets, v1alpha1.Target{Node: target.Name, Addresses: []string{address}})
			report.Status.Addresses = append(report.Status.Addresses, address)
		}
		write(report)
		if _, err := matrix.Report(report, later); err != nil {
			b.Fatal(err)
		}
	}
	return matrix
}
