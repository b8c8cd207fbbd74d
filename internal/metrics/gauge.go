package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// gauge is a sample that may go up and down. A large cluster has some 100,000 of
// them in one scrape, most of whose memory would be their labels; so gauges share
// those that they have in common.
type gauge struct {
	desc   *prometheus.Desc
	value  float64
	labels []*dto.LabelPair
}

// Desc implements prometheus.Metric.
func (g *gauge) Desc() *prometheus.Desc { return g.desc }

// Write implements prometheus.Metric.
func (g *gauge) Write(out *dto.Metric) error {
	out.Label, out.Gauge = g.labels, &dto.Gauge{Value: &g.value}
	return nil
}

// newGauge returns a gauge with labels, which are in the order of their names.
func newGauge(desc *prometheus.Desc, value float64, labels ...*dto.LabelPair) prometheus.Metric {
	return &gauge{desc: desc, value: value, labels: labels}
}

// labels are those of one scrape.
type labels map[[2]string]*dto.LabelPair

// pair returns the label of that name and value.
func (l labels) pair(name, value string) *dto.LabelPair {
	key := [2]string{name, value}
	if l[key] == nil {
		l[key] = &dto.LabelPair{Name: &name, Value: &value}
	}
	return l[key]
}

// truth is 1 for true.
func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
