package reachability_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// BenchmarkVerdicts judges one app on 5,000 nodes: where all answer, where no
// agent has a word yet, where half of the observers get an answer, where nobody
// does, with and without a ready pod, where the last pod went, as half of them have told,
// and where it has just gone.
func BenchmarkVerdicts(b *testing.B) {
	const size = 5000
	podless := webApp()
	podless.Endpoints = nil
	for _, c := range []struct {
		name  string
		app   reachability.App
		since time.Time
		write func(i int, report *v1alpha1.NodeReachability)
	}{
		{"answers", webApp(), start, func(int, *v1alpha1.NodeReachability) {}},
		{"silence", webApp(), start, func(_ int, report *v1alpha1.NodeReachability) { report.Status.NodePorts = "" }},
		{"dispute", webApp(), start, func(i int, report *v1alpha1.NodeReachability) {
			if i%2 == 0 {
				refuses(report)
			}
		}},
		{"refusal", webApp(), start, func(_ int, report *v1alpha1.NodeReachability) { refuses(report) }},
		{"podless", podless, start, func(_ int, report *v1alpha1.NodeReachability) { refuses(report) }},
		{"parting", podless, start, func(i int, report *v1alpha1.NodeReachability) {
			if i%2 == 0 {
				refuses(report)
			}
		}},
		{"going", podless, later, func(int, *v1alpha1.NodeReachability) {}},
	} {
		b.Run(c.name, func(b *testing.B) {
			matrix := cluster(b, size, c.write)
			matrix.Observe(web, c.app, c.since)
			var verdicts []v1alpha1.NodeVerdict
			for b.Loop() {
				if verdicts, _ = matrix.AppendVerdicts(verdicts[:0], web, later); len(verdicts) != size {
					b.Fatalf("%d verdicts", len(verdicts))
				}
			}
		})
	}
}

// BenchmarkReturn judges apps that all failed everywhere and come back, one after the
// other, each with another report folded in: of some agents, which found so many apps to
// answer.
func BenchmarkReturn(b *testing.B) {
	const size, first, last = 5000, 30000, 32767
	for _, c := range []struct{ told, answer float64 }{{0.02, 0.02}, {0.5, 0.5}, {0.98, 0.5}, {0.98, 0.98}} {
		b.Run(fmt.Sprintf("told=%g/answer=%g", c.told, c.answer), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			write := func(_ int, report *v1alpha1.NodeReachability) {
				tells := random.Float64() < c.told
				report.Status.NodePorts = fmt.Sprintf("%d-%d", first, last)
				for _, address := range report.Status.Addresses {
					var refused []uint16
					for port := uint16(first); port <= last; port++ {
						if !tells || random.Float64() >= c.answer {
							refused = append(refused, port)
						}
					}
					report.Status.Failures = append(report.Status.Failures, v1alpha1.ProbeFailure{
						Reason: v1alpha1.ReasonConnectionRefused, Message: "raw error",
						NodePorts: nodeport.Of(refused...).Coarsen(64).String(), Addresses: []string{address},
					})
				}
			}
			matrix, news := cluster(b, size, write), clusterReports(size, write)
			apps := make([]types.NamespacedName, 0, last-first+1)
			for port := int32(first); port <= last; port++ {
				app, name := webApp(), types.NamespacedName{Namespace: "default", Name: fmt.Sprint(port)}
				app.Service.NodePort = port
				matrix.Observe(name, app, start)
				apps = append(apps, name)
			}
			var verdicts []v1alpha1.NodeVerdict
			for i := 0; b.Loop(); i++ {
				if verdicts, _ = matrix.AppendVerdicts(verdicts[:0], apps[i%len(apps)], later); len(verdicts) != size {
					b.Fatalf("%d verdicts", len(verdicts))
				}
				if _, err := matrix.Report(news[i%size], later); err != nil {
					b.Fatal(err)
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
