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

// BenchmarkVerdicts judges one app on 5,000 nodes that all answer.
func BenchmarkVerdicts(b *testing.B) {
	const size, observers = 5000, 8
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
	matrix.Observe(web, webApp(), start)
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
		if _, err := matrix.Report(report, later); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		verdicts, _ := matrix.Verdicts(web, later)
		if len(verdicts) != size || verdicts[size-1].Observers != "8/8" {
			b.Fatalf("%d verdicts, the last is %v", len(verdicts), verdicts[len(verdicts)-1])
		}
	}
}
