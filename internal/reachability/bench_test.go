package reachability_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
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
			reported := cluster(b, size, c.write)
			reported.SetApp(web, c.app, c.since)
			var verdicts []v1alpha1.NodeVerdict
			for b.Loop() {
				if verdicts, _ = verdict.Append(verdicts[:0], reported, web, later); len(verdicts) != size {
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
			reported, news := cluster(b, size, write), clusterReports(size, write)
			apps := make([]types.NamespacedName, 0, last-first+1)
			for port := int32(first); port <= last; port++ {
				app, name := webApp(), types.NamespacedName{Namespace: "default", Name: fmt.Sprint(port)}
				app.Service.NodePort = port
				reported.SetApp(name, app, start)
				apps = append(apps, name)
			}
			var verdicts []v1alpha1.NodeVerdict
			for i := 0; b.Loop(); i++ {
				if verdicts, _ = verdict.Append(verdicts[:0], reported, apps[i%len(apps)], later); len(verdicts) != size {
					b.Fatalf("%d verdicts", len(verdicts))
				}
				if _, err := reported.Report(news[i%size], later); err != nil {
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
	reported := cluster(b, size, func(i int, report *v1alpha1.NodeReachability) {
		if i%2 == 0 {
			refuses(report)
		}
	})
	reported.SetApp(web, webApp(), start)
	fold := func(b *testing.B) {
		report := with(answers(nodeName(1)), addresses("10.0.0.1"))
		for b.Loop() {
			if _, err := reported.Report(report, later); err != nil {
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
					verdicts, _ = verdict.Append(verdicts[:0], reported, web, later)
				}
			}
		}()
		fold(b)
		close(done)
		<-judged
	})
}

// BenchmarkLongestReport reads and folds in reports of an agent that was taken over, as long
// as they may be, and judges the apps that they touch, on 64 nodes that all are given to it
// to dial.
func BenchmarkLongestReport(b *testing.B) {
	const size, apps = 64, 100
	scattered := func(first, count int) string {
		ports := make([]uint16, count)
		for i := range ports {
			ports[i] = uint16(first + 2*i)
		}
		return nodeport.Of(ports...).String()
	}
	every := make([]string, size)
	for i := range every {
		every[i] = nodeAddress(i).String()
	}
	failure := func(ports string, addresses []string) v1alpha1.ProbeFailure {
		return v1alpha1.ProbeFailure{Reason: v1alpha1.ReasonTimeout, NodePorts: ports, Addresses: addresses}
	}
	for name, write := range map[string]func(status *v1alpha1.NodeReachabilityStatus){
		"few apps at all nodes": func(status *v1alpha1.NodeReachabilityStatus) {
			for i := range 25 {
				status.Failures = append(status.Failures, failure(fmt.Sprint(31000+i), every))
			}
		},
		"many apps at one node": func(status *v1alpha1.NodeReachabilityStatus) {
			for i := range 120 {
				status.Failures = append(status.Failures, failure(scattered(30001+i%2, 17), every[i%size:i%size+1]))
			}
		},
		"scattered ports": func(status *v1alpha1.NodeReachabilityStatus) {
			status.NodePorts = "1-65535"
			status.Failures = []v1alpha1.ProbeFailure{failure(scattered(30001, 1300), every), failure(scattered(30002, 1000), every)}
		},
		"no result yet": func(status *v1alpha1.NodeReachabilityStatus) {
			for i := range 25 {
				status.Pending = append(status.Pending, v1alpha1.PendingProbes{NodePorts: fmt.Sprint(31000 + i), Addresses: every})
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			reported := cluster(b, size, func(_ int, report *v1alpha1.NodeReachability) { report.Status.NodePorts = "30000-32767" })
			var touchable []types.NamespacedName
			for i := range apps {
				app, name := webApp(), types.NamespacedName{Namespace: "default", Name: fmt.Sprint(i)}
				app.Service.NodePort = int32(31000 + i)
				reported.SetApp(name, app, start)
				touchable = append(touchable, name)
			}
			quiet := answers(nodeName(0))
			quiet.Spec.Targets, quiet.Status.NodePorts, quiet.Status.Addresses = nil, "30000-32767", every
			for i := range every {
				quiet.Spec.Targets = append(quiet.Spec.Targets, v1alpha1.Target{Node: nodeName(i), Addresses: every[i : i+1]})
			}
			loud := quiet.DeepCopy()
			write(&loud.Status)
			var verdicts []v1alpha1.NodeVerdict
			judged := 0
			for i := 0; b.Loop(); i++ {
				report := quiet
				if i%2 == 0 {
					report = loud
				}
				if _, err := reported.Report(report, later); err != nil {
					b.Fatal(err)
				}
				verdicts, _ = verdict.Append(verdicts[:0], reported, touchable[i/2%apps], later)
				judged++
			}
			text, err := json.Marshal(loud.Status)
			if err != nil {
				b.Fatal(err)
			}
			perPair := 2 * float64(b.Elapsed().Microseconds()) / 1000 / float64(judged)
			b.ReportMetric(float64(len(text))/1000, "kB")
			b.ReportMetric(perPair/(float64(len(text))/1000), "ms/kB")
		})
	}
}
