// Package dispute knows who is asked to look again where observers disagree on whether an
// app answers at an address, and what came of it.
//
// What they reported before the disagreement may be older than what it contradicts, so each
// of them is asked, and goes through these states until the Dispute ends, which it does
// when they agree again:
//
//	state      until
//	unasked    an evaluation meets the observer in the Dispute: asked
//	asked      its report answers the round, or is renewed after a full round of
//	           probes: answered
//	answered   its failure is older than the last confirmation of one that reaches
//	           the address, and was last asked about before that: asked
//
// Who was asked by an earlier operator and answered begins as answered.
package dispute

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// promptly is how soon those who disagree with a new failure look again. One that is older
// may be over by then.
const promptly = 1500 * time.Millisecond

// Dispute is a disagreement of observers on one app at one address.
type Dispute struct {
	Began time.Time

	questions map[string]question
	// new are the observers whose questions have no round yet, in the order of asking, and
	// changed is whether anything differs from what this is a copy of.
	new     []string
	changed bool
}

// question is a request to one observer. Round 0 stands for one that was answered before
// the Dispute began.
type question struct {
	round           int64
	asked, answered time.Time
}

// Observer is an observer with a result, as far as it matters to a Dispute.
type Observer struct {
	Name string
	// Round is the newest recheck that its report answers, and ReportedAt when the report
	// was last renewed.
	Round      int64
	ReportedAt time.Time
	// RoundTime is in what time it probes all that it is given.
	RoundTime time.Duration
	// AnsweredBefore is set where an earlier operator asked it, and it answered.
	AnsweredBefore bool
}

// Open returns a new Dispute.
func Open(now time.Time) *Dispute {
	return &Dispute{Began: now, questions: make(map[string]question), changed: true}
}

func (d *Dispute) clone() *Dispute {
	if d == nil {
		return nil
	}
	return &Dispute{Began: d.Began, questions: maps.Clone(d.questions), new: slices.Clone(d.new)}
}

// Consult asks an observer that was not asked yet, and notes its answer.
func (d *Dispute) Consult(observer *Observer, now time.Time) {
	before, found := d.questions[observer.Name]
	switch {
	case !found && observer.AnsweredBefore:
		d.set(observer.Name, question{asked: now, answered: now})
	case !found:
		d.ask(observer.Name, now)
	case before.answered.IsZero() &&
		(observer.Round >= before.round || observer.ReportedAt.After(before.asked.Add(observer.RoundTime))):
		before.answered = now
		d.set(observer.Name, before)
	}
}

// Confirmed reports whether an observer looked again since the Dispute began.
func (d *Dispute) Confirmed(observer string) bool {
	return d != nil && !d.questions[observer].answered.IsZero()
}

// Persists reports whether an observer's failure goes on although others, those confirmed,
// reach the address: because it began only just before the last of them confirmed that,
// or because its observer looked again after that. If not, the observer is asked once more.
func (d *Dispute) Persists(observer string, failingSince time.Time, confirmed []string, now time.Time) bool {
	var last time.Time
	for _, other := range confirmed {
		if answered := d.questions[other].answered; answered.After(last) {
			last = answered
		}
	}
	before := d.questions[observer]
	switch {
	case last.IsZero():
		return false
	case !failingSince.Before(last.Add(-promptly)):
		return true
	case before.asked.Before(last):
		d.ask(observer, now)
		return false
	}
	return !before.answered.IsZero()
}

// Awaits reports whether an observer answers a question with a round after one and up to
// another.
func (d *Dispute) Awaits(observer string, after, upTo int64) bool {
	if d == nil {
		return false
	}
	round := d.questions[observer].round
	return round > after && round <= upTo
}

func (d *Dispute) ask(observer string, now time.Time) {
	d.set(observer, question{asked: now})
	d.new = append(d.new, observer)
}

func (d *Dispute) set(observer string, next question) {
	d.questions[observer] = next
	d.changed = true
}

// Rounds yields the observers that are asked, and their rounds: 0 for an answer from before.
func (d *Dispute) Rounds() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for observer, question := range d.observers() {
			if !yield(observer, question.round) {
				return
			}
		}
	}
}

// number gives rounds to the questions that have none.
func (d *Dispute) number(next func(observer string) int64) {
	for _, observer := range d.new {
		numbered := d.questions[observer]
		numbered.round = next(observer)
		d.questions[observer] = numbered
	}
	d.new, d.changed = nil, false
}

func (d *Dispute) observers() map[string]question {
	if d == nil {
		return nil
	}
	return d.questions
}
