package agent

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
	s := newStatistics(started)
	g.Expect(s.status().Results).To(BeEmpty())
	g.Expect(s.status().Latency).To(BeNil())

	for _, took := range []time.Duration{
		300 * time.Microsecond, time.Millisecond, time.Millisecond + 1, 299 * time.Millisecond, time.Minute,
	} {
		s.count(probe.Result{}, took)
	}
	s.count(probe.Result{Reason: probe.Timeout, Message: "i/o timeout"}, 2*time.Second)
	s.count(probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 500"}, time.Millisecond)
	s.count(probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 502"}, time.Millisecond)

	status := s.status()
	g.Expect(status.StartTime.Time).To(Equal(started))
	g.Expect(status.Results).To(Equal([]v1alpha1.ProbeCount{
		{Result: "HTTPStatus", Count: 2}, {Result: "Reached", Count: 5}, {Result: "Timeout", Count: 1},
	}))
	g.Expect(*status.Latency).To(Equal(v1alpha1.ProbeLatency{
		BoundsMilliseconds: []int32{1, 3, 10, 30, 100, 300, 1000, 10_000},
		Counts:             []int64{2, 1, 0, 0, 0, 1, 0, 0, 1},
		SumMicroseconds:    60_301_300,
	}))

	s.count(probe.Result{}, time.Millisecond)
	g.Expect(status.Latency.Counts[0]).To(BeEquivalentTo(2), "a report is being written while probes go on")
}

// TestStatisticsAreCompact: those of a week at the budget of one agent, in
// which everything happened, are small, and those of ages fit into the room that a
// report keeps for them.
func TestStatisticsAreCompact(t *testing.T) {
	g := NewWithT(t)
	week := newStatistics(time.Now())
	week.results["Reached"] = 7 * 24 * 3600 * budget.PerAgent
	week.buckets[0] = week.results["Reached"]
	week.sum = 7 * 24 * time.Hour
	for _, reason := range []probe.Reason{probe.Timeout, probe.ConnectionRefused, probe.HTTPStatus} {
		week.results[string(reason)] = 1_000_000
	}
	for _, compact := range []struct {
		statistics *statistics
		bytes      int
	}{{&week, 500}, {crowdedStatistics(), 700}} {
		text, err := json.Marshal(compact.statistics.status())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(len(text)).To(BeNumerically("<=", compact.bytes))
	}
}

// crowdedStatistics are about as long as they get: every result there is, and
// more of each than an agent probes in 60 years.
func crowdedStatistics() *statistics {
	const many = 999_999_999_999
	s := newStatistics(time.Now())
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

// TestReportCountsProbes: in a minute, one address answers after 20 ms and
// another stays silent.
func TestReportCountsProbes(t *testing.T) {
	inBubble(t, func(_ *testing.T, b *bubble) {
		b.make("10.0.0.1:30000", behaviour{after: 20 * time.Millisecond})
		b.make("10.0.0.2:30000", behaviour{after: time.Hour})
		b.assign(1, smallCluster, "10.0.0.1", "10.0.0.2")
		b.list("7", onPorts(30000)...)
		b.wait(time.Minute)
		probes := b.last().Probes
		b.g.Expect(probes.Results).To(HaveLen(2))
		answered := probes.Results[0]
		b.g.Expect(answered).To(Equal(v1alpha1.ProbeCount{Result: "Reached", Count: answered.Count}))
		b.g.Expect(answered.Count).To(BeNumerically(">=", 9))
		b.g.Expect(probes.Results[1].Result).To(Equal("Timeout"))
		b.g.Expect(probes.Latency.Counts).To(Equal([]int64{0, 0, 0, answered.Count, 0, 0, 0, 0, 0}))
		b.g.Expect(probes.Latency.SumMicroseconds).To(Equal(20_000 * answered.Count))
	})
}
