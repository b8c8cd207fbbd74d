package reporter

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

// Statistics counts the probes of the whole agent. They are not kept per pair, so that
// their size does not depend on that of the cluster, and they are part of the reports
// that are written anyway.
type Statistics struct {
	started metav1.Time
	results map[string]int64
	bounds  []int32
	buckets []int64
	sum     time.Duration
}

// NewStatistics returns the counts of an agent that just started.
func NewStatistics(started time.Time) Statistics {
	// In milliseconds: about two per decade where a cluster's own network answers, one of
	// them the delay after which a second probe starts, and one between there and the
	// longest timeout of 60 s.
	bounds := []int32{1, 3, 10, 30, 100, 300, 1000, 10_000}
	return Statistics{
		started: metav1.NewTime(started),
		results: map[string]int64{},
		bounds:  bounds,
		buckets: make([]int64, len(bounds)+1),
	}
}

// Count counts a probe that took as long as took.
func (s *Statistics) Count(result probe.Result, took time.Duration) {
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

// Status returns the counts in the form of the API.
func (s *Statistics) Status() *v1alpha1.ProbeStatistics {
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
