package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Watches is a prometheus.Collector of what the operator does not see.
type Watches struct {
	health  Health
	failing *prometheus.Desc
}

// Health knows for how long each resource has failed to be listed or watched.
type Health interface {
	FailingFor() map[string]time.Duration
}

var _ prometheus.Collector = (*Watches)(nil)

// NewWatches returns a Collector of health. A standby has samples as well: it is to take
// over.
func NewWatches(health Health) *Watches {
	return &Watches{health: health, failing: prometheus.NewDesc("exposedapp_watch_failing_seconds",
		"How long the operator has failed to list or watch a resource, 0 while it does not. "+
			"What it does not see it cannot tell.",
		[]string{"resource"}, nil)}
}

// Describe implements prometheus.Collector.
func (w *Watches) Describe(descs chan<- *prometheus.Desc) { descs <- w.failing }

// Collect implements prometheus.Collector.
func (w *Watches) Collect(metrics chan<- prometheus.Metric) {
	for resource, failing := range w.health.FailingFor() {
		metrics <- prometheus.MustNewConstMetric(w.failing, prometheus.GaugeValue, failing.Seconds(), resource)
	}
}
