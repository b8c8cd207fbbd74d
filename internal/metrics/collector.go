// Package metrics shows what stands in the statuses to Prometheus.
//
// The collector keeps no state: each scrape reads the ExposedApps from the operator's
// cache, and the reports from where verdicts are made of them. So metrics and status cannot
// disagree, an operator that restarts goes on where the former ended, and what
// is deleted is gone from the metrics as well. What the status does not know has
// no sample: there is no number that says Unknown and does not spoil a sum.
//
// The agents have no port to scrape. Their counts of probes come with their
// reports, and are as old as these.
package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// readTimeout bounds the wait for a cache that is not there yet.
const readTimeout = 5 * time.Second

// Collector is a prometheus.Collector of the statuses in a cache.
type Collector struct {
	reader    client.Reader
	observers Observers
	elected   <-chan struct{}
	clock     clock.PassiveClock

	apps    appMetrics
	reports reportMetrics
}

// Observers knows the newest report of every observer.
type Observers interface {
	Reports() []*reachability.Report
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector of what reader, a cache, holds and of the reports of
// observers. It has no samples until elected is closed, so that of several replicas one
// alone has them.
func New(reader client.Reader, observers Observers, elected <-chan struct{}, now clock.PassiveClock) *Collector {
	return &Collector{
		reader:    reader,
		observers: observers,
		elected:   elected,
		clock:     now,
		apps:      newAppMetrics(),
		reports:   newReportMetrics(),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	c.apps.describe(descs)
	c.reports.describe(descs)
}

// Collect implements prometheus.Collector. Objects are read where they lie in
// the cache, and not changed: a copy of them all would be most of a scrape.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	select {
	case <-c.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	scrape := labels{}
	var apps v1alpha1.ExposedAppList
	if err := c.reader.List(ctx, &apps, client.UnsafeDisableDeepCopy); err != nil {
		metrics <- prometheus.NewInvalidMetric(c.apps.nodes, fmt.Errorf("list exposed apps: %w", err))
		return
	}
	for i := range apps.Items {
		c.apps.collect(metrics, scrape, &apps.Items[i])
	}
	now := c.clock.Now()
	for _, report := range c.observers.Reports() {
		c.reports.collect(metrics, scrape, &report.NodeReachability, now)
	}
}
