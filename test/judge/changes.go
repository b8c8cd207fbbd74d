package judge

import (
	"fmt"
	"slices"
	"time"
)

// Changes tells what changed when: the phases, whether dials are answered line by
// line, and the rows node by node.
func Changes(trial *Trial, dials []Dial, statuses []Status) []string {
	type change struct {
		at   time.Time
		text string
	}
	var changes []change
	note := func(at time.Time, format string, args ...any) {
		changes = append(changes, change{at, fmt.Sprintf(format, args...)})
	}
	for i := range trial.Phases {
		note(trial.Phases[i].Start, "----- phase %d", i)
	}
	for _, outage := range trial.Outages {
		note(outage.From, "no status can be read until %s", outage.To.Format(clock))
	}
	for key, line := range lines(dials, nil) {
		for i, dial := range line {
			// Refusals and timeouts may take turns.
			if i == 0 || dial.Answered != line[i-1].Answered {
				note(dial.Start, "%s → %s:%d: %s", key.source, key.node, key.port, dial.Word)
			}
		}
	}
	for _, node := range trial.nodes() {
		for _, row := range spans(node, statuses, trial.Phases[0].Start, trial.End) {
			note(row.from, "status of %s on %d: %s %q", node, row.port, row.Says, row.Message)
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.at.Compare(b.at) })
	var texts []string
	for _, c := range changes {
		texts = append(texts, c.at.Format(clock)+" "+c.text)
	}
	return texts
}
