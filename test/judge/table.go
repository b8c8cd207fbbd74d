package judge

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// Record is what came of one fault over its runs.
type Record struct {
	Fault       string
	Truth       []time.Duration
	Recovery    []time.Duration
	Runs, False int
}

// Table writes one line per fault.
func Table(out io.Writer, records []Record) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FAULT\tRUNS\tTRUTH p50\tmax\tRECOVERY p50\tmax\tFALSE WORDS")
	sum := 0
	for i := range records {
		r := &records[i]
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%d\n",
			r.Fault, r.Runs, median(r.Truth), most(r.Truth), median(r.Recovery), most(r.Recovery), r.False)
		sum += r.False
	}
	fmt.Fprintf(table, "false words: %d\n", sum)
	return table.Flush()
}

func median(times []time.Duration) string {
	if len(times) == 0 {
		return "-"
	}
	return Tenths(slices.Sorted(slices.Values(times))[(len(times)-1)/2])
}

func most(times []time.Duration) string {
	if len(times) == 0 {
		return "-"
	}
	return Tenths(slices.Max(times))
}

// Tenths renders a duration in seconds, with one decimal.
func Tenths(d time.Duration) string {
	if d == Never {
		return "never"
	}
	return fmt.Sprintf("%.1fs", max(d, 0).Seconds())
}
