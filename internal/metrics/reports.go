package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// notDialled is the result of a probe that failed on the agent's own side.
const notDialled = string(probe.NotDialled)

// reportMetrics are about the agents, by the node that they observe from.
type reportMetrics struct {
	age, probes, dials, probeDuration *prometheus.Desc
}

func newReportMetrics() reportMetrics {
	return reportMetrics{
		age: prometheus.NewDesc("exposedapp_report_age_seconds",
			"Age of the report of a node's agent. It goes by the operator's clock and the renewTime by the node's, "+
				"so it is off by as much as they differ, and negative where the node's is ahead.",
			[]string{"node"}, nil),
		probes: prometheus.NewDesc("exposedapp_probes_total",
			"Number of probes that a node's agent made since it started, as of its last report, by result: "+
				"Reached, the reason of the failure, or Other for what is not known.",
			[]string{"node", "result"}, nil),
		dials: prometheus.NewDesc("exposedapp_observer_dials_total",
			"Number of dials of node ports that a node's agent made since it started, as of its last report, by the way "+
				"that its kernel took them: Direct, Translated or Unverified.",
			[]string{"node", "path"}, nil),
		probeDuration: prometheus.NewDesc("exposedapp_probe_duration_seconds",
			"Time that the answered probes of a node's agent took, from the dial to the end of the answer or to 50 ms "+
				"after its status line, since it started, as of its last report.",
			[]string{"node"}, nil),
	}
}

func (m *reportMetrics) describe(descs chan<- *prometheus.Desc) {
	descs <- m.age
	descs <- m.probes
	descs <- m.dials
	descs <- m.probeDuration
}

func (m *reportMetrics) collect(
	metrics chan<- prometheus.Metric, scrape labels, report *v1alpha1.NodeReachability, now time.Time,
) {
	if renewed := report.Status.RenewTime; renewed != nil {
		metrics <- newGauge(m.age, now.Sub(renewed.Time).Seconds(), scrape.pair("node", report.Name))
	}
	statistics := report.Status.Probes
	if statistics == nil {
		return
	}
	started := statistics.StartTime.Time
	for result, count := range byResult(statistics.Results) {
		metrics <- prometheus.MustNewConstMetricWithCreatedTimestamp(
			m.probes, prometheus.CounterValue, float64(count), started, report.Name, result)
	}
	for path, count := range byPath(statistics.Dials) {
		metrics <- prometheus.MustNewConstMetricWithCreatedTimestamp(
			m.dials, prometheus.CounterValue, float64(count), started, report.Name, path)
	}
	if latency := statistics.Latency; latency != nil && len(latency.Counts) == len(latency.BoundsMilliseconds)+1 {
		buckets, count := cumulative(latency)
		metrics <- prometheus.MustNewConstHistogramWithCreatedTimestamp(
			m.probeDuration, count, float64(latency.SumMicroseconds)/1e6, buckets, started, report.Name)
	}
}

// byResult adds up counts of the same result. What is not known counts as Other: each
// result is a series for as long as Prometheus keeps it, and an agent must not be able to
// make new ones without end.
func byResult(counts []v1alpha1.ProbeCount) map[string]int64 {
	total := make(map[string]int64, len(counts))
	for _, count := range counts {
		result := count.Result
		if result != v1alpha1.EvidenceReached && result != notDialled && !v1alpha1.IsDialReason(result) {
			result = v1alpha1.ReasonOther
		}
		total[result] += count.Count
	}
	return total
}

// byPath adds up counts of the same path, likewise.
func byPath(counts []v1alpha1.DialCount) map[string]int64 {
	total := make(map[string]int64, len(counts))
	for _, count := range counts {
		total[string(count.Path)] += count.Count
	}
	return total
}

// cumulative returns a histogram as Prometheus has it: the number of probes up
// to each bound, in seconds, and of all.
func cumulative(latency *v1alpha1.ProbeLatency) (buckets map[float64]uint64, count uint64) {
	buckets = make(map[float64]uint64, len(latency.BoundsMilliseconds))
	for i, bound := range latency.BoundsMilliseconds {
		count += uint64(latency.Counts[i])
		buckets[float64(bound)/1000] = count
	}
	return buckets, count + uint64(latency.Counts[len(latency.BoundsMilliseconds)])
}
