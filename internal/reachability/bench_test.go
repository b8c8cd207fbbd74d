package reachability_test

import (
	"testing"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// BenchmarkVerdicts judges one app on 5,000 nodes: where all answer, where no
// agent has a word yet, where half of the observers get an answer, and where nobody
// does, with and without a ready pod.
func BenchmarkVerdicts(b *testing.B) {
	const size = 5000
	podless := webApp()
	podless.Endpoints = nil
	for _, c := range []struct {
		name  string
		app   reachability.App
		write func(i int, report *v1alpha1.NodeReachability)
	}{
		{"answers", webApp(), func(int, *v1alpha1.NodeReachability) {}},
		{"silence", webApp(), func(_ int, report *v1alpha1.NodeReachability) { report.Status.NodePorts = "" }},
		{"dispute", webApp(), func(i int, report *v1alpha1.NodeReachability) {
			if i%2 == 0 {
				refuses(report)
			}
		}},
		{"refusal", webApp(), func(_ int, report *v1alpha1.NodeReachability) { refuses(report) }},
		{"podless", podless, func(_ int, report *v1alpha1.NodeReachability) { refuses(report) }},
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

// BenchmarkReports folds in reports that say nothing new, alone and while apps are
// judged without end, of which half of the observers get no answer.
func BenchmarkReports(b *testing.B) {
	const size = 5000
	matrix := cluster(b, size, func(i int, report *v1alpha1.NodeReachability) {
		if i%2 == 0 {
			refuses(report)
		}
	})
	matrix.Observe(web, webApp(), start)
	fold := func(b *testing.B) {
		report := with(answers(nodeName(1)), addresses("10.0.0.1"))
		for b.Loop() {
			if _, err := matrix.Report(report, later); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("alone", fold)
	b.Run("beside", func(b *testing.B) {
		done, judged := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(judged)
			var verdicts []v1alpha1.NodeVerdict
			for {
				select {
				case <-done:
					return
				default:
					verdicts, _ = matrix.AppendVerdicts(verdicts[:0], web, later)
				}
			}
		}()
		fold(b)
		close(done)
		<-judged
	})
}
