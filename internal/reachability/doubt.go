package reachability

import (
	"net/netip"
	"time"
)

const (
	// patience is how long observers that are asked to look again may take: a
	// timeout of the default length, and the ways there and back.
	patience = 3 * time.Second

	// promptly is how soon those who disagree with a new failure look again. One
	// that is older may be over by then.
	promptly = 1500 * time.Millisecond
)

// doubt is a disagreement of observers on one address. Words spoken before it
// began may be older than what they contradict, so each observer with a word is
// asked to look again.
type doubt struct {
	began time.Time
	asked map[string]question
}

// question is a request to one observer. Round 0 stands for one that was
// answered before the doubt began.
type question struct {
	round        int64
	at, answered time.Time
}

// disagree asks the observers that have a word on an address, in the doubt on it,
// and takes note of their answers.
func (m *Matrix) disagree(open *doubt, app *subject, address netip.Addr, observers []string, now time.Time) {
	for _, observer := range observers {
		entry := m.reports[observer]
		asked, found := open.asked[observer]
		switch {
		case !found && !app.judged && app.Disputed[address] && entry.RecheckRound >= entry.asked.Round &&
			entry.asked.Covers(address, app.Service.NodePort):
			// An earlier operator asked already.
			open.asked[observer] = question{at: now, answered: now}
			m.reconsider(address)
		case !found:
			m.ask(open, observer, now)
		case asked.answered.IsZero() && m.looked(app, open, observer):
			asked.answered = now
			open.asked[observer] = asked
			m.reconsider(address)
		}
	}
}

func (m *Matrix) ask(open *doubt, observer string, now time.Time) {
	// Beyond what an earlier operator asked, whose clock may be ahead.
	entry := m.reports[observer]
	m.round = max(m.round+1, now.UnixMilli(), entry.asked.Round+1, entry.RecheckRound+1)
	open.asked[observer] = question{round: m.round, at: now}
	m.request()
}

// looked tells whether an observer answered: by looking again, or by renewing
// its report after a full turn of probes.
func (m *Matrix) looked(app *subject, open *doubt, observer string) bool {
	entry, asked := m.reports[observer], open.asked[observer]
	return entry.RecheckRound >= asked.round || entry.at.After(asked.at.Add(entry.viewFor(app).cycle))
}

// confirmed tells whether an observer looked again since the doubt began.
func (d *doubt) confirmed(observer string) bool {
	return d != nil && !d.asked[observer].answered.IsZero()
}

// stands tells whether a failure goes on beside the answers of others: because
// it began only just before the last of them confirmed its own, or because its
// observer looked again after that. If not, the observer is asked once more.
func (m *Matrix) stands(open *doubt, failure *statement, reached []string, now time.Time) bool {
	var last time.Time
	for _, observer := range reached {
		if answered := open.asked[observer].answered; answered.After(last) {
			last = answered
		}
	}
	asked := open.asked[failure.by.name]
	switch {
	case last.IsZero():
		return false
	case !failure.since.Before(last.Add(-promptly)):
		return true
	case asked.at.Before(last):
		m.ask(open, failure.by.name, now)
		return false
	}
	return !asked.answered.IsZero()
}
