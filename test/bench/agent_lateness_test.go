package main

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestLateness(t *testing.T) {
	const period = 5 * time.Second
	began := time.Now()
	target := netip.MustParseAddrPort("198.18.0.1:30000")
	at := func(seconds ...float64) (arrivals []arrival) {
		for _, s := range seconds {
			arrivals = append(arrivals, arrival{began.Add(time.Duration(s * float64(time.Second))), target})
		}
		return arrivals
	}
	for name, tc := range map[string]struct {
		before, after []arrival
		want          []time.Duration
	}{
		"on time":                {at(1, 6, 11), at(21, 26, 31), []time.Duration{0, 0}},
		"one late":               {at(1, 6, 11), at(21, 28, 31), []time.Duration{0, 2 * time.Second}},
		"all late":               {at(1, 6, 11), at(22, 27, 32), []time.Duration{time.Second, time.Second}},
		"a little early":         {at(1, 6, 11), at(20.96, 26, 31), []time.Duration{0, 0}},
		"out of turn":            {at(1, 6, 11), at(21, 23, 26, 31), []time.Duration{0, 0}},
		"out of turn, then late": {at(1, 6, 11), at(21, 25, 28, 31), []time.Duration{0, 2 * time.Second}},
		"never again":            {at(1, 6, 11), at(21), []time.Duration{0, 9 * time.Second}},
		"out of turn before":     {at(1, 2, 6, 11), at(21, 26, 31), []time.Duration{0, 0}},
		"one of before late":     {at(1, 7, 11), at(21, 26, 31), []time.Duration{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			late := turnsOf(tc.before, period).lateness(tc.after, began.Add(20*time.Second), began.Add(35*time.Second))
			NewWithT(t).Expect(late).To(Equal(tc.want))
		})
	}
}

func TestQuantile(t *testing.T) {
	var durations []time.Duration
	for d := range 200 {
		durations = append(durations, time.Duration(199-d))
	}
	g := NewWithT(t)
	g.Expect(quantile(durations, 0)).To(BeEquivalentTo(0))
	g.Expect(quantile(durations, 0.5)).To(BeEquivalentTo(100))
	g.Expect(quantile(durations, 0.99)).To(BeEquivalentTo(198))
	g.Expect(quantile(durations, 1)).To(BeEquivalentTo(199))
}
