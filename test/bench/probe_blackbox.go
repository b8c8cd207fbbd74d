package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// examination is what an exporter of the kind of the blackbox exporter makes anew for
// each probe: a registry with its gauges, filled from a trace of the request.
type examination struct {
	registry                        *prometheus.Registry
	phases                          *prometheus.GaugeVec
	success, duration, status, size prometheus.Gauge

	began, connecting, connected, answered time.Time
}

func newExamination() *examination {
	gauge := func(name string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: name})
	}
	e := &examination{
		registry: prometheus.NewRegistry(),
		phases: prometheus.NewGaugeVec(
			prometheus.GaugeOpts{Name: "probe_http_duration_seconds", Help: "of each phase"}, []string{"phase"}),
		success:  gauge("probe_success"),
		duration: gauge("probe_duration_seconds"),
		status:   gauge("probe_http_status_code"),
		size:     gauge("probe_http_content_length"),
		began:    time.Now(),
	}
	e.registry.MustRegister(e.phases, e.success, e.duration, e.status, e.size)
	return e
}

func (e *examination) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		ConnectStart:         func(string, string) { e.connecting = time.Now() },
		ConnectDone:          func(string, string, error) { e.connected = time.Now() },
		GotFirstResponseByte: func() { e.answered = time.Now() },
	}
}

// finish fills the gauges and gathers them, as for whoever asked for the probe.
func (e *examination) finish(response *http.Response, size int64) error {
	ended := time.Now()
	e.phases.WithLabelValues("connect").Set(e.connected.Sub(e.connecting).Seconds())
	e.phases.WithLabelValues("processing").Set(e.answered.Sub(e.connected).Seconds())
	e.phases.WithLabelValues("transfer").Set(ended.Sub(e.answered).Seconds())
	e.success.Set(1)
	e.duration.Set(ended.Sub(e.began).Seconds())
	e.status.Set(float64(response.StatusCode))
	e.size.Set(float64(size))
	_, err := e.registry.Gather()
	return err
}

// examine makes the request that fetch makes, with all that such an exporter has
// around it.
func (p dialPlan) examine(ctx context.Context, url string) error {
	e := newExamination()
	client := p.client()
	var err error
	if client.Jar, err = cookiejar.New(nil); err != nil {
		return err
	}
	response, err := p.get(httptrace.WithClientTrace(ctx, e.trace()), client, url)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	size, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return e.finish(response, size)
}
