package judge

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestTable(t *testing.T) {
	g := NewWithT(t)
	var out strings.Builder
	g.Expect(Table(&out, []Record{
		{
			Fault: "drop", Runs: 3, False: 1,
			Truth:    []time.Duration{7 * time.Second, 5 * time.Second, Never},
			Recovery: []time.Duration{-time.Second, 1200 * time.Millisecond},
		},
		{Fault: "calm", Runs: 1, False: 1},
	})).To(Succeed())
	g.Expect(out.String()).To(Equal(`FAULT  RUNS  TRUTH p50  max    RECOVERY p50  max   FALSE WORDS
drop   3     7.0s       never  0.0s          1.2s  1
calm   1     -          -      -             -     1
false words: 2
`))
}

func TestChanges(t *testing.T) {
	g := NewWithT(t)
	g.Expect(Changes(dropped(), from("b", "a", run{10, ok}, run{30, silence}, run{50, ok}), []Status{
		says(-5, "Reachable", ""), says(16, "Unreachable Timeout", "x"), says(33, "Reachable", ""),
	})).To(Equal([]string{
		"00:00:00.000 ----- phase 0",
		"00:00:00.000 b → a:30080: 200",
		`00:00:00.000 status of a on 30080: Reachable ""`,
		`00:00:00.000 status of b on 30080: Reachable ""`,
		"00:00:10.000 ----- phase 1",
		"00:00:10.000 b → a:30080: timed out",
		`00:00:16.000 status of a on 30080: Unreachable Timeout "x"`,
		"00:00:30.000 ----- phase 2",
		"00:00:30.000 b → a:30080: 200",
		`00:00:33.000 status of a on 30080: Reachable ""`,
	}))
}
