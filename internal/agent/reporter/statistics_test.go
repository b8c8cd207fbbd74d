package reporter

import (
	"encoding/json"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/probe"
)

func TestStatistics(t *testing.T) {
	g := NewWithT(t)
	started := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	s := NewStatistics(started)
	g.Expect(s.Status().Results).To(BeEmpty())
	g.Expect(s.Status().Latency).To(BeNil())

	for _, took := range []time.Duration{
		300 * time.Microsecond, time.Millisecond, time.Millisecond + 1, 299 * time.Millisecond, time.Minute,
	} {
		s.Count(probe.Result{}, took)
	}
	s.Count(probe.Result{Reason: probe.Timeout, Message: "i/o timeout"}, 2*time.Second)
	s.Count(probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 500"}, time.Millisecond)
	s.Count(probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 502"}, time.Millisecond)

	status := s.Status()
	g.Expect(status.StartTime.Time).To(Equal(started))
	g.Expect(status.Results).To(Equal([]v1alpha1.ProbeCount{
		{Result: "HTTPStatus", Count: 2}, {Result: "Reached", Count: 5}, {Result: "Timeout", Count: 1},
	}))
	g.Expect(*status.Latency).To(Equal(v1alpha1.ProbeLatency{
		BoundsMilliseconds: []int32{1, 3, 10, 30, 100, 300, 1000, 10_000},
		Counts:             []int64{2, 1, 0, 0, 0, 1, 0, 0, 1},
		SumMicroseconds:    60_301_300,
	}))

	s.Count(probe.Result{}, time.Millisecond)
	g.Expect(status.Latency.Counts[0]).To(BeEquivalentTo(2), "a report is being written while probes go on")
}

// TestStatisticsAreCompact: those of a week at the budget of one agent, in
// which everything happened, are small, and those of ages fit into the room that a
// report keeps for them.
func TestStatisticsAreCompact(t *testing.T) {
	g := NewWithT(t)
	week := NewStatistics(time.Now())
	week.results["Reached"] = 7 * 24 * 3600 * budget.PerAgent
	week.buckets[0] = week.results["Reached"]
	week.sum = 7 * 24 * time.Hour
	for _, reason := range []probe.Reason{probe.Timeout, probe.ConnectionRefused, probe.HTTPStatus} {
		week.results[string(reason)] = 1_000_000
	}
	for _, compact := range []struct {
		statistics *Statistics
		bytes      int
	}{{&week, 500}, {crowdedStatistics(), 700}} {
		text, err := json.Marshal(compact.statistics.Status())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(len(text)).To(BeNumerically("<=", compact.bytes))
	}
}

// crowdedStatistics are about as long as they get: every result there is, and
// more of each than an agent probes in 60 years.
func crowdedStatistics() *Statistics {
	const many = 999_999_999_999
	s := NewStatistics(time.Now())
	for _, reason := range []probe.Reason{
		resultReached, probe.ConnectionRefused, probe.ConnectionReset, probe.Timeout, probe.NoRoute,
		probe.HTTPStatus, probe.ProtocolError, probe.NotDialled,
	} {
		s.results[string(reason)] = many
	}
	for i := range s.buckets {
		s.buckets[i] = many
	}
	s.sum = 1<<63 - 1
	return &s
}
