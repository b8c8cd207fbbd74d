package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func at(seconds float64) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

// run is what a source's dials say until a moment.
type run struct {
	until float64
	word  string
}

const (
	ok      = "200"
	refused = "refused"
	silence = "timed out"
)

// from makes the dials of a source, two a second.
func from(source, node string, runs ...run) []Dial {
	var dials []Dial
	start := 0.0
	for _, r := range runs {
		for ; start < r.until; start += 0.5 {
			dial := Dial{Source: source, Node: node, Port: 30080, Start: at(start), Word: r.word, Answered: r.word == ok}
			dial.End = dial.Start.Add(5 * time.Millisecond)
			if r.word == silence {
				dial.End = dial.Start.Add(2 * time.Second)
			}
			if r.word != "" {
				dials = append(dials, dial)
			}
		}
	}
	return dials
}

// says makes a status with a row for node a, and one for node b that is always
// Reachable.
func says(seconds float64, row, message string) Status {
	return Status{At: at(seconds), Port: 30080, Rows: map[string]Row{
		"a": {Says: row, Message: message},
		"b": {Says: "Reachable"},
	}}
}

func only(row string, texts ...string) Words { return Words{row: texts} }

// dropped is a trial in which node a falls silent at 10 and is mended at 30.
func dropped() *Trial {
	right := func(a Words) map[string]Words { return map[string]Words{"a": a, "b": only("Reachable")} }
	return &Trial{
		Phases: []Phase{
			{Start: at(0), Right: right(only("Reachable"))},
			{Start: at(10), Turn: Dialled, Right: right(only("Unreachable Timeout", "x"))},
			{Start: at(30), Turn: Dialled, Right: right(only("Reachable"))},
		},
		End: at(50),
	}
}

// nothing makes it a trial in which nothing happens to node a.
func nothing(trial *Trial) {
	trial.Phases[1].Right["a"] = only("Reachable")
	trial.Phases[1].Turn, trial.Phases[2].Turn = Steady, Steady
}

// silent are the dials that go with it.
func silent() []Dial {
	return slices.Concat(
		from("b", "a", run{10, ok}, run{30, silence}, run{50, ok}),
		from("c", "a", run{10, ok}, run{30, silence}, run{50, ok}),
		from("c", "b", run{50, ok}))
}

func TestJudge(t *testing.T) {
	good := []Status{says(-5, "Reachable", ""), says(16, "Unreachable Timeout", "from x"), says(33, "Reachable", "")}
	for name, test := range map[string]struct {
		trial    func(*Trial)
		dials    []Dial
		statuses []Status
		// words are the moments, in seconds, and the rows of the false words.
		words []string
		took  []string
	}{
		"the truth in time": {
			dials: silent(), statuses: good,
			took: []string{"6.0s", "3.0s"},
		},
		"a failure that is told too late": {
			dials:    silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(19, "Unreachable Timeout", "x"), says(33, "Reachable", "")},
			words:    []string{"18.0 Reachable"},
			took:     []string{"9.0s", "3.0s"},
		},
		"a failure that is never told": {
			dials:    silent(),
			statuses: []Status{says(-5, "Reachable", "")},
			words:    []string{"18.0 Reachable"},
			took:     []string{"never", "0.0s"},
		},
		"a recovery that is told too late": {
			dials:    silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(16, "Unreachable Timeout", "x"), says(40, "Reachable", "")},
			words:    []string{"38.0 Unreachable Timeout"},
			took:     []string{"6.0s", "10.0s"},
		},
		"a relapse within the time": {
			dials: silent(),
			statuses: append(slices.Clone(good), says(34, "Unreachable Timeout", "x"),
				says(35, "Reachable", "")),
			took: []string{"6.0s", "5.0s"},
		},
		"a relapse after the time": {
			dials: silent(),
			statuses: append(slices.Clone(good), says(40, "Unreachable Timeout", "x"),
				says(41, "Reachable", "")),
			words: []string{"40.0 Unreachable Timeout"},
			took:  []string{"6.0s", "11.0s"},
		},
		"one source that nobody heeds": {
			dials: slices.Concat(
				from("b", "a", run{50, ok}),
				from("c", "a", run{10, ok}, run{30, refused}, run{50, ok})),
			statuses: []Status{says(-5, "Reachable", "")},
			words:    []string{"18.0 Reachable"},
			took:     []string{"never", "0.0s"},
		},
		"a source that the fault breaks": {
			trial: func(trial *Trial) {
				trial.Deaf = []string{"c"}
				for i := range trial.Phases {
					trial.Phases[i].Turn = Announced
				}
				trial.Phases[1].Right["a"] = only("Reachable SuspectObserver", "c")
			},
			dials: slices.Concat(
				from("b", "a", run{50, ok}),
				from("c", "a", run{10, ok}, run{30, silence}, run{50, ok})),
			statuses: []Status{says(-5, "Reachable", ""), says(17, "Reachable SuspectObserver", "not c"), says(34, "Reachable", "")},
			took:     []string{"7.0s", "4.0s"},
		},
		"a false alarm, also while a fault is on elsewhere": {
			trial: nothing,
			dials: slices.Concat(from("b", "a", run{50, ok}), from("c", "a", run{50, ok})),
			statuses: []Status{says(-5, "Reachable", ""), says(20, "Unreachable Timeout", "x"),
				says(21, "Reachable", "")},
			words: []string{"20.0 Unreachable Timeout"},
		},
		"a doubt where there is none": {
			trial:    nothing,
			dials:    slices.Concat(from("b", "a", run{50, ok}), from("c", "a", run{50, ok})),
			statuses: []Status{says(-5, "Reachable", ""), says(20, "Unknown Pending", ""), says(21, "Reachable", "")},
			words:    []string{"20.0 Unknown Pending"},
		},
		"the wrong reason": {
			dials:    silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(16, "Unreachable HTTPStatus", "x"), says(33, "Reachable", "")},
			words:    []string{"16.0 Unreachable HTTPStatus"},
			took:     []string{"never", "3.0s"},
		},
		"the right reason without its message": {
			dials:    silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(16, "Unreachable Timeout", "y"), says(33, "Reachable", "")},
			words:    []string{"16.0 Unreachable Timeout"},
			took:     []string{"never", "3.0s"},
		},
		"a word in passing": {
			trial: func(trial *Trial) { trial.Phases[1].Passing = only("Unreachable Timeout") },
			dials: silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(14, "Unreachable Timeout", "y"),
				says(16, "Unreachable Timeout", "x"), says(33, "Reachable", "")},
			took: []string{"6.0s", "3.0s"},
		},
		"a word in passing that stays": {
			trial: func(trial *Trial) { trial.Phases[1].Passing = only("Unreachable Timeout") },
			dials: silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(14, "Unreachable Timeout", "y"),
				says(20, "Unreachable Timeout", "x"), says(33, "Reachable", "")},
			words: []string{"18.0 Unreachable Timeout"},
			took:  []string{"10.0s", "3.0s"},
		},
		"a row that is not there": {
			dials: silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(16, "Unreachable Timeout", "x"),
				{At: at(20), Port: 30080, Rows: map[string]Row{"b": {Says: "Reachable"}}}, says(33, "Reachable", "")},
			words: []string{"20.0 no row"},
			took:  []string{"never", "3.0s"},
		},
		"silence on another port than the status speaks of": {
			trial:    nothing,
			dials:    onPort(30081, from("b", "a", run{10, ok}, run{50, refused})),
			statuses: []Status{says(-5, "Reachable", "")},
		},
		"a source that was stopped for a while": {
			trial: nothing,
			dials: slices.Concat(
				from("b", "a", run{50, ok}),
				from("c", "a", run{12, ok}, run{13, refused}, run{30, ""}, run{31, refused}, run{50, ok})),
			statuses: []Status{says(-5, "Reachable", "")},
		},
		"an outage that nobody can report": {
			trial: func(trial *Trial) { trial.Outages = []Interval{{at(9), at(20)}} },
			dials: silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(26, "Unreachable Timeout", "x"),
				says(33, "Reachable", "")},
			took: []string{"6.0s", "3.0s"},
		},
		"an outage after the truth": {
			trial:    func(trial *Trial) { trial.Outages = []Interval{{at(17), at(25)}} },
			dials:    silent(),
			statuses: good,
			took:     []string{"6.0s", "3.0s"},
		},
		"an outage that is over for too long": {
			trial: func(trial *Trial) { trial.Outages = []Interval{{at(9), at(20)}} },
			dials: silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(29, "Unreachable Timeout", "x"),
				says(33, "Reachable", "")},
			words: []string{"28.0 Reachable"},
			took:  []string{"9.0s", "3.0s"},
		},
		"another word of the same before the truth, right after an outage": {
			trial: func(trial *Trial) { trial.Outages = []Interval{{at(31), at(42)}} },
			dials: silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(16, "Unreachable Timeout", "x"),
				says(43, "Unreachable Timeout", "x still"), says(44, "Reachable", "")},
			took: []string{"6.0s", "2.0s"},
		},
		"a node that is not expected": {
			trial: func(trial *Trial) {
				trial.Phases[1].Right["a"] = Words{"Unreachable Timeout": {"x"}, "(Unreachable NodeNotReady)": nil}
			},
			dials: silent(),
			statuses: []Status{says(-5, "Reachable", ""), says(16, "Unreachable Timeout", "x"),
				says(25, "(Unreachable NodeNotReady)", ""), says(33, "Reachable", "")},
			took: []string{"6.0s", "3.0s"},
		},
		"a thing that starts anew everywhere": {
			trial: func(trial *Trial) {
				nothing(trial)
				trial.Phases[1].Turn, trial.Phases[1].Anew = Dialled, true
				trial.Phases[1].Passing = only("Unknown Pending")
			},
			dials:    slices.Concat(from("b", "a", run{50, ok}), from("c", "a", run{50, ok}), from("a", "b", run{50, ok})),
			statuses: []Status{says(-5, "Reachable", ""), says(11, "Unknown Pending", ""), says(19, "Reachable", "")},
			words:    []string{"18.0 Unknown Pending"},
			took:     []string{"9.0s"},
		},
		"a port that changes": {
			trial: func(trial *Trial) {
				nothing(trial)
				trial.Phases[1].Turn, trial.Phases[1].Anew, trial.Phases[1].Port = Dialled, true, 30081
			},
			dials: slices.Concat(
				from("b", "a", run{10, ok}, run{50, refused}), from("a", "b", run{10, ok}, run{50, refused}),
				onPort(30081, from("b", "a", run{10, ""}, run{11, refused}, run{50, ok})),
				onPort(30081, from("a", "b", run{10, ""}, run{12, refused}, run{50, ok}))),
			statuses: []Status{says(-5, "Reachable", ""), {At: at(19), Port: 30081, Rows: says(19, "Reachable", "").Rows}},
			words:    []string{"18.0 Reachable", "18.0 Reachable"},
			took:     []string{"8.0s"},
		},
		"dials that never turn": {
			dials:    slices.Concat(from("b", "a", run{50, ok}), from("c", "a", run{50, ok})),
			statuses: good,
			words:    []string{"16.0 Unreachable Timeout"},
			took:     []string{"never", "3.0s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			trial := dropped()
			if test.trial != nil {
				test.trial(trial)
			}
			found := Judge(trial, test.dials, test.statuses)
			var words, took []string
			for _, word := range found.False {
				words = append(words, strings.TrimSuffix(Tenths(word.At.Sub(at(0))), "s")+" "+word.Row.Says)
			}
			for _, d := range found.Took {
				took = append(took, Tenths(d.Time))
			}
			g.Expect(words).To(Equal(test.words), "%v", found.False)
			g.Expect(took).To(Equal(test.took))
		})
	}
}

func onPort(port int32, dials []Dial) []Dial {
	for i := range dials {
		dials[i].Port = port
	}
	return dials
}
