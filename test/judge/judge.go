// Package judge holds a status against what others saw. On one side are the
// words of the status, each from when it was received; on the other are dials of
// the nodes by a program that is not ours. A Trial says what is right in which
// phase of a fault. Judge finds the false words, and how long the truth took.
//
// A false word is a moment at which
//
//   - a row says Reachable of a node that is expected to answer, while some
//     source got no answer there for longer than Promise up to that moment;
//   - a row says Unreachable of one, while every source got nothing but answers
//     there for Promise up to that moment;
//   - a row says what is not right in the phase, nor on the way to it, or what
//     was right on the way for longer than Promise after the dials turned.
//
// The package makes no call and reads no clock. Where dials leave room, the
// status has the benefit of the doubt: nodes are silent from the start of the
// first dial that fails to the start of the last, and answer from the end of the
// first dial that succeeds to the end of the last.
package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Promise is how long the truth may take.
const Promise = 8 * time.Second

// Gone is the row of a node that has none.
const Gone = "no row"

// Dial is one attempt of a source to fetch something from a node.
type Dial struct {
	Source, Node string
	Port         int32
	Start, End   time.Time
	// Word is the status code of the answer, or why there was none.
	Word string
	// Answered is whether the word is what a client wants.
	Answered bool
}

// Status is what an ExposedApp said from a moment on.
type Status struct {
	At   time.Time
	Port int32
	// Rows are the rows by node.
	Rows map[string]Row
}

// Row is what a status said of one node.
type Row struct {
	// Says is the state and the reason, if there is one, in parentheses where
	// the node is not expected to answer. Gone where there is no such row.
	Says    string
	Message string
}

// Words are rows that are right, by what they say, and the texts that each of
// them must have in its message.
type Words map[string][]string

// Phase is a time in which one thing is right.
type Phase struct {
	Start time.Time
	// Turn is when the status must begin to follow.
	Turn Turn
	// Port is the node port that the phase is about, 0 for any.
	Port int32
	// Right are the rows that tell the truth, by node.
	Right map[string]Words
	// Passing are further rows that may be seen of a node on the way to this
	// phase's truth, or from it to the next one's.
	Passing Words
	// Anew is whether the truth has to be found anew on every node, also where
	// it is the same as before.
	Anew bool
}

// Turn is what the time that the truth takes counts from.
type Turn int

const (
	// Steady: the status has nothing to follow; all that is right may be said
	// all the time.
	Steady Turn = iota
	// Announced: from the start of the phase.
	Announced
	// Dialled: from when the dials of a node turn. Where Reachable is right, that
	// is when every source begins to get nothing but answers, and else the start
	// of the first dial that fails.
	Dialled
)

// Trial is one fault from before it to after it.
type Trial struct {
	// Phases follow each other. The first is the steady state before.
	Phases []Phase
	End    time.Time
	// Deaf are sources whose dials the fault itself breaks.
	Deaf []string
	// Outages are times in which nobody could read or write a status.
	Outages []Interval
}

// Interval is from one moment to another.
type Interval struct{ From, To time.Time }

// Finding is what the judge found.
type Finding struct {
	False []FalseWord
	// Took is how long the truth took in each phase that is not steady.
	Took []Took
}

// Took is how long the truth of a phase took on the node where it took longest.
type Took struct {
	Phase int
	Time  time.Duration
}

// Never is how long a truth took that was not told, or that no dial confirms.
const Never = time.Duration(1<<63 - 1)

// FalseWord is a row that was not true, from a moment on.
type FalseWord struct {
	At   time.Time
	Node string
	Row  Row
	Why  string
}

func (f FalseWord) String() string {
	return fmt.Sprintf("%s %s: %s (%s): %s", f.At.Format(clock), f.Node, f.Row.Says, f.Row.Message, f.Why)
}

func (f FalseWord) compare(other FalseWord) int {
	return f.At.Compare(other.At)
}

const clock = "15:04:05.000"

// Judge holds the statuses of an ExposedApp against the dials.
func Judge(trial *Trial, dials []Dial, statuses []Status) Finding {
	var finding Finding
	heard := stretches(dials, trial.Deaf)
	for _, node := range trial.nodes() {
		rows := spans(node, statuses, trial.Phases[0].Start, trial.End)
		for _, row := range rows {
			// A row can be false for several reasons, and is one false word.
			if words := append(denied(trial, heard, row), misplaced(trial, heard, row)...); len(words) > 0 {
				finding.False = append(finding.False, slices.MinFunc(words, FalseWord.compare))
			}
		}
	}
	slices.SortStableFunc(finding.False, FalseWord.compare)
	for phase := 1; phase < len(trial.Phases); phase++ {
		if trial.Phases[phase].Turn != Steady {
			finding.Took = append(finding.Took, Took{phase, took(trial, phase, heard, statuses)})
		}
	}
	return finding
}

// Answering are the nodes of which it is right that they answer.
func (p *Phase) Answering() []string {
	var nodes []string
	for node, right := range p.Right {
		if right.answers() {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// Told tells whether the last status has every row of a phase right.
func (p *Phase) Told(statuses []Status) bool {
	if len(statuses) == 0 {
		return false
	}
	last := statuses[len(statuses)-1]
	for node := range p.Right {
		if !p.have(span{Row: last.row(node), node: node, port: last.Port}) {
			return false
		}
	}
	return true
}

// have tells whether a row is right, and about the right port.
func (p *Phase) have(row span) bool {
	return p.Right[row.node].have(row.Row) && (p.Port == 0 || p.Port == row.port)
}

// denied finds the rows that dials deny.
func denied(trial *Trial, heard []stretch, row span) []FalseWord {
	expected := !strings.HasPrefix(row.Says, "(")
	var at time.Time
	var why string
	switch state, _, _ := strings.Cut(row.Says, " "); {
	case expected && state == "Reachable":
		at, why = silentFor(trial, heard, row)
	case expected && state == "Unreachable":
		at, why = answeredFor(trial, heard, row)
	}
	if at.IsZero() {
		return nil
	}
	return []FalseWord{{At: at, Node: row.node, Row: row.Row, Why: why}}
}

// silentFor returns the first moment of a row at which a source had no answer
// for longer than promised.
func silentFor(trial *Trial, heard []stretch, row span) (first time.Time, why string) {
	for _, s := range heard {
		if s.answers || s.node != row.node || s.port != row.port {
			continue
		}
		from := trial.afterOutage(s.from, row.to).Add(Promise)
		at := latest(row.from, from)
		if !at.Before(earliest(row.to, s.to)) {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first, why = at, fmt.Sprintf("no answer to %s since %s", s.source, s.from.Format(clock))
		}
	}
	return first, why
}

// answeredFor returns the first moment of a row up to which all sources were
// answered for as long as promised.
func answeredFor(trial *Trial, heard []stretch, row span) (first time.Time, why string) {
	var moments []time.Time
	for _, s := range heard {
		if s.answers && s.node == row.node && s.port == row.port {
			moments = append(moments, latest(row.from, trial.afterOutage(s.from, row.to).Add(Promise)))
		}
	}
	slices.SortFunc(moments, time.Time.Compare)
	for _, at := range moments {
		if at.Before(row.to) && trial.allAnswered(heard, row, at) {
			return at, "answers everybody since " + at.Add(-Promise).Format(clock) + " at the latest"
		}
	}
	return time.Time{}, ""
}

// allAnswered tells whether at least one source dialled the node in the promised
// time up to a moment, and every one that did was answered all that time.
func (t *Trial) allAnswered(heard []stretch, row span, at time.Time) bool {
	answered := make(map[string]bool)
	for _, s := range heard {
		if s.node != row.node || s.port != row.port || !s.last.After(at.Add(-Promise)) || !s.first.Before(at) {
			continue
		}
		if !s.answers || t.afterOutage(s.from, at).After(at.Add(-Promise)) || s.to.Before(at) {
			return false
		}
		answered[s.source] = true
	}
	return len(answered) > 0
}

// misplaced finds what is not right in the phases that a row is seen in.
func misplaced(trial *Trial, heard []stretch, row span) []FalseWord {
	var found []FalseWord
	for i := range trial.Phases {
		from, to := latest(row.from, trial.Phases[i].Start), earliest(row.to, trial.end(i))
		if !from.Before(to) || trial.Phases[i].have(row) {
			continue
		}
		if !trial.passes(i, row) {
			found = append(found, FalseWord{from, row.node, row.Row, "is never right in phase " + fmt.Sprint(i)})
			continue
		}
		turned := trial.turned(i, row.node, heard)
		if deadline := trial.afterOutage(turned, to).Add(Promise); !turned.IsZero() && deadline.Before(to) {
			found = append(found, FalseWord{latest(from, deadline), row.node, row.Row,
				"is no longer right, the dials turned at " + turned.Format(clock)})
		}
	}
	return found
}

// passes tells whether a row may be seen on the way to the truth of a phase.
func (t *Trial) passes(phase int, row span) bool {
	if !t.changes(phase, row.node) {
		return false
	}
	before := &t.Phases[phase-1]
	return t.Phases[phase].Passing.have(row.Row) || before.Passing.have(row.Row) || before.Right[row.node].have(row.Row)
}

// changes tells whether the truth of a node is to be found in a phase.
func (t *Trial) changes(phase int, node string) bool {
	if phase == 0 || t.Phases[phase].Turn == Steady {
		return false
	}
	return t.Phases[phase].Anew || fmt.Sprint(t.Phases[phase].Right[node]) != fmt.Sprint(t.Phases[phase-1].Right[node])
}

// took returns how long the truth of a phase took on the node where it took
// longest, among those of which another thing is right than before.
func took(trial *Trial, phase int, heard []stretch, statuses []Status) time.Duration {
	var longest time.Duration
	for node := range trial.Phases[phase].Right {
		if !trial.changes(phase, node) {
			continue
		}
		var told time.Time
		for _, row := range slices.Backward(spans(node, statuses, trial.Phases[phase].Start, trial.end(phase))) {
			if !trial.Phases[phase].have(row) {
				break
			}
			told = row.from
		}
		turned := trial.turned(phase, node, heard)
		if told.IsZero() || turned.IsZero() {
			return Never
		}
		longest = max(longest, told.Sub(trial.afterOutage(turned, told)))
	}
	return longest
}

// turned returns when the status had to begin to follow on a node, or nothing
// where the dials did not turn.
func (t *Trial) turned(phase int, node string, heard []stretch) time.Time {
	start, end, port := t.Phases[phase].Start, t.end(phase), t.Phases[phase].Port
	var at time.Time
	switch {
	case t.Phases[phase].Turn != Dialled:
		at = start
	case t.Phases[phase].Right[node].answers():
		at = answersSince(on(heard, node, port), start, end)
	default:
		at = firstFailure(on(heard, node, port), start, end)
	}
	return at
}

// afterOutage returns the moment, or the end of the outage in which it lies. An
// outage that begins within the promised time, and before another moment, leaves
// no time either.
func (t *Trial) afterOutage(at, until time.Time) time.Time {
	for _, outage := range t.Outages {
		if outage.From.Before(earliest(at.Add(Promise), until)) && at.Before(outage.To) {
			at = outage.To
		}
	}
	return at
}

// end returns the end of a phase.
func (t *Trial) end(phase int) time.Time {
	if phase+1 < len(t.Phases) {
		return t.Phases[phase+1].Start
	}
	return t.End
}

// nodes returns the nodes of which something is right.
func (t *Trial) nodes() []string {
	var nodes []string
	for i := range t.Phases {
		for node := range t.Phases[i].Right {
			if !slices.Contains(nodes, node) {
				nodes = append(nodes, node)
			}
		}
	}
	slices.Sort(nodes)
	return nodes
}

// answers tells whether it is right that the node answers.
func (w Words) answers() bool {
	for says := range w {
		if strings.HasPrefix(says, "Reachable") {
			return true
		}
	}
	return false
}

func (w Words) have(row Row) bool {
	texts, found := w[row.Says]
	return found && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(row.Message, text) })
}
