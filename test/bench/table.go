package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
)

// figure is what was measured: of several samples the median, the least and the
// most.
type figure struct {
	name, unit         string
	value, least, most float64
	samples            int
}

func newFigure(name, unit string, samples []float64) figure {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	return figure{
		name: name, unit: unit, samples: n,
		value: (sorted[(n-1)/2] + sorted[n/2]) / 2, least: sorted[0], most: sorted[n-1],
	}
}

// String is the figure on a line: name, value, unit, and the bounds of several
// samples.
func (f figure) String() string {
	line := fmt.Sprintf("%s %s %s", f.name, short(f.value), f.unit)
	if f.samples > 1 {
		line += fmt.Sprintf(" (%s–%s of %d)", short(f.least), short(f.most), f.samples)
	}
	return line
}

// short renders a number with three digits that count, and no more than it has.
func short(value float64) string {
	digits := 0
	for bound := 100.0; digits < 3 && value != float64(int64(value)) && value < bound && value > -bound; bound /= 10 {
		digits++
	}
	return strconv.FormatFloat(value, 'f', digits, 64)
}

// writeTable writes the figures beside their goals.
func writeTable(out io.Writer, figures []figure) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nFIGURE\tVALUE\tMIN\tMAX\tUNIT\tGOAL\t")
	for _, f := range figures {
		text, verdict := "-", ""
		if g, found := goals()[f.name]; found {
			text, verdict = g.String(), "met"
			if !g.met(f.value) {
				verdict = "NOT MET"
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			f.name, short(f.value), short(f.least), short(f.most), f.unit, text, verdict)
	}
	return table.Flush()
}
