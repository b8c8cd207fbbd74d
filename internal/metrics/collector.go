// Package metrics shows what stands in the statuses to Prometheus.
//
// The collector keeps no state: each scrape reads the ExposedApps and the
// NodeReachabilities from the operator's cache. So metrics and status cannot
// disagree, an operator that starts anew begins where the former ended, and what
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
)

// readTimeout bounds the wait for a cache that is not there yet.
const readTimeout = 5 * time.Second

// Collector is a prometheus.Collector of the statuses in a cache.
type Collector struct {
	reader  client.Reader
	elected <-chan struct{}
	clock   clock.PassiveClock

	apps    appMetrics
	reports reportMetrics
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector of what reader, a cache, holds. It has no samples
// until elected is closed, so that of several replicas one alone has them.
func New(reader client.Reader, elected <-chan struct{}, now clock.PassiveClock) *Collector {
	return &Collector{
		reader:  reader,
		elected: elected,
		clock:   now,
		apps:    newAppMetrics(),
		reports: newReportMetrics(),
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
	var reports v1alpha1.NodeReachabilityList
	if err := c.reader.List(ctx, &reports, client.UnsafeDisableDeepCopy); err != nil {
		metrics <- prometheus.NewInvalidMetric(c.reports.age, fmt.Errorf("list node reachabilities: %w", err))
		return
	}
	now := c.clock.Now()
	for i := range reports.Items {
		c.reports.collect(metrics, scrape, &reports.Items[i], now)
	}
}
