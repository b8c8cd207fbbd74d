package main

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestFigure(t *testing.T) {
	for name, test := range map[string]struct {
		samples            []float64
		value, least, most float64
		line               string
	}{
		"one sample": {[]float64{3}, 3, 3, 3, "f 3 s"},
		"an odd number has a middle": {
			[]float64{9, 1, 2}, 2, 1, 9, "f 2 s (1–9 of 3)",
		},
		"of an even number it is the mean of the two in the middle": {
			[]float64{4, 1, 3, 100}, 3.5, 1, 100, "f 3.50 s (1–100 of 4)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			f := newFigure("f", "s", test.samples)
			g.Expect([]float64{f.value, f.least, f.most}).To(Equal([]float64{test.value, test.least, test.most}))
			g.Expect(f.String()).To(Equal(test.line))
		})
	}
}

func TestSamplesKeepTheirOrder(t *testing.T) {
	samples := []float64{3, 1, 2}
	newFigure("f", "s", samples)
	NewWithT(t).Expect(samples).To(Equal([]float64{3, 1, 2}))
}

func TestShort(t *testing.T) {
	for value, text := range map[float64]string{
		0: "0", 3: "3", 2768: "2768", 0.0123: "0.012", 0.5: "0.500", 1.2345: "1.23", 12.345: "12.3",
		123.45: "123", 1234.5: "1234", -1.2345: "-1.23", 99.96: "100.0",
	} {
		NewWithT(t).Expect(short(value)).To(Equal(text))
	}
}

func TestGoal(t *testing.T) {
	for name, test := range map[string]struct {
		goal  goal
		value float64
		met   bool
		text  string
	}{
		"below an upper bound":   {atMost(1.25), 1, true, "≤ 1.25"},
		"at an upper bound":      {atMost(3), 3, true, "≤ 3"},
		"above an upper bound":   {atMost(3), 3.01, false, "≤ 3"},
		"above a lower bound":    {goal{bound: 5, atLeast: true}, 6, true, "≥ 5"},
		"at a lower bound":       {goal{bound: 5, atLeast: true}, 5, true, "≥ 5"},
		"below a lower bound":    {goal{bound: 5, atLeast: true}, 4.99, false, "≥ 5"},
		"a bound of nothing":     {atMost(0), 0, true, "≤ 0"},
		"more than nothing":      {atMost(0), 1, false, "≤ 0"},
		"a small fraction of it": {atMost(0.1), 0.11, false, "≤ 0.100"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(test.goal.met(test.value)).To(Equal(test.met))
			g.Expect(test.goal.String()).To(Equal(test.text))
		})
	}
}

func TestTable(t *testing.T) {
	g := NewWithT(t)
	var out strings.Builder
	g.Expect(writeTable(&out, []figure{
		newFigure("converge_ratio", "×", []float64{1.2}),
		newFigure("steady_writes", "", []float64{4}),
		newFigure("something_else", "s", []float64{1, 2, 3}),
	})).To(Succeed())
	g.Expect(strings.Split(strings.TrimSpace(out.String()), "\n")).To(ConsistOf(
		MatchRegexp(`^FIGURE +VALUE +MIN +MAX +UNIT +GOAL`),
		MatchRegexp(`^converge_ratio +1\.20 +1\.20 +1\.20 +× +≤ 1\.25 +met$`),
		MatchRegexp(`^steady_writes +4 +4 +4 +≤ 0 +NOT MET$`),
		MatchRegexp(`^something_else +2 +1 +3 +s +-$`),
	))
}
