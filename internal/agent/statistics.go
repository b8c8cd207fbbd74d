package agent

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// resultReached is how an answered probe is counted; all others are counted by
// their reason.
const resultReached = "Reached"

// latencyBounds are the upper bounds of the latency histogram, in milliseconds:
// about two per decade where a cluster's own network answers, one of them the
// delay after which a second probe starts, and one between there and the longest
// timeout of 60 s.
func latencyBounds() []int32 {
	return []int32{1, 3, 10, 30, 100, 300, 1000, 10_000}
}

// statistics counts probes. They are the whole agent's, not a pair's, so that
// their size does not depend on that of the cluster, and they go out with the
// reports that are written anyway.
type statistics struct {
	started metav1.Time
	results map[string]int64
	bounds  []int32
	buckets []int64
	sum     time.Duration
}

func newStatistics(started time.Time) statistics {
	bounds := latencyBounds()
	return statistics{
		started: metav1.NewTime(started),
		results: map[string]int64{},
		bounds:  bounds,
		buckets: make([]int64, len(bounds)+1),
	}
}

// count counts a probe that took as long as took.
func (s *statistics) count(result probe.Result, took time.Duration) {
	if !result.Reached() {
		s.results[string(result.Reason)]++
		return
	}
	s.results[resultReached]++
	s.sum += took
	bucket := slices.IndexFunc(s.bounds, func(bound int32) bool {
		return took <= time.Duration(bound)*time.Millisecond
	})
	if bucket < 0 {
		bucket = len(s.bounds)
	}
	s.buckets[bucket]++
}

// status returns the counts in the form of the API.
func (s *statistics) status() *v1alpha1.ProbeStatistics {
	status := &v1alpha1.ProbeStatistics{StartTime: s.started}
	for result, count := range s.results {
		status.Results = append(status.Results, v1alpha1.ProbeCount{Result: result, Count: count})
	}
	slices.SortFunc(status.Results, func(a, b v1alpha1.ProbeCount) int {
		return strings.Compare(a.Result, b.Result)
	})
	if s.results[resultReached] > 0 {
		status.Latency = &v1alpha1.ProbeLatency{
			BoundsMilliseconds: s.bounds,
			Counts:             slices.Clone(s.buckets),
			SumMicroseconds:    s.sum.Microseconds(),
		}
	}
	return status
}
