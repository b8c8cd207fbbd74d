package reachability

import (
	"net/netip"
	"slices"
	"time"
)

// Much may fail at once on a cluster of thousands of nodes. These bound what is
// remembered then, and how many observers are asked to look again. What is beyond
// them is told all the same, but not for how long it has failed, nor who is right.
const (
	// remembered is at how many addresses it is followed since when one app fails,
	// and rememberedInAll the same for all apps together, and for doubts.
	remembered      = 64
	rememberedInAll = 4096

	// doubtful is on how many addresses there may be doubts. Each is asked of all
	// observers of that address.
	doubtful = 32
)

// openDoubt returns the doubt on an address, a new one where there is room for it,
// and nil where there is not.
func (m *Matrix) openDoubt(app *subject, address netip.Addr, now time.Time) *doubt {
	if open := app.doubts[address]; open != nil {
		return open
	}
	if m.doubted[address] == 0 && len(m.doubted) >= doubtful {
		return nil
	}
	doubts := 0
	for _, apps := range m.doubted {
		doubts += apps
	}
	if doubts >= rememberedInAll {
		return nil
	}
	if app.doubts == nil {
		app.doubts = make(map[netip.Addr]*doubt)
	}
	open := &doubt{began: now, asked: make(map[string]question)}
	app.doubts[address] = open
	if m.doubted[address]++; m.doubted[address] == 1 {
		m.dispute(address, 1)
	}
	return open
}

func (m *Matrix) closeDoubt(app *subject, address netip.Addr) {
	if app.doubts[address] == nil {
		return
	}
	delete(app.doubts, address)
	if m.doubted[address]--; m.doubted[address] == 0 {
		delete(m.doubted, address)
		m.dispute(address, -1)
	}
	m.reconsider(address)
}

// dispute has the observers of an address know of how many addresses more, or fewer,
// there is a doubt.
func (m *Matrix) dispute(address netip.Addr, more int) {
	for _, entry := range m.observers[address] {
		entry.disputed += more
	}
}

// dateAll dates the words of those who fail, in the cluster and out of it.
func (m *Matrix) dateAll(words *testimony, app *subject, address netip.Addr, now time.Time) {
	h := &words.outside
	if len(m.outside[address]) > 0 {
		m.noteRecovery(words, app, address, now)
	}
	if len(h.failed)+len(h.isolated) == 0 {
		m.date(app, address, words.failed, now)
		return
	}
	all := slices.Concat(words.failed, h.failed, h.isolated)
	m.date(app, address, all, now)
	for _, part := range [][]statement{words.failed, h.failed, h.isolated} {
		all = all[copy(part, all):]
	}
}

// noteRecovery notes when the last failure in the cluster ends at an address.
func (m *Matrix) noteRecovery(words *testimony, app *subject, address netip.Addr, now time.Time) {
	if len(words.failed) > 0 {
		return
	}
	for name := range app.failing[address] {
		if entry := m.reports[name]; entry != nil && !entry.outside {
			if app.recovered == nil {
				app.recovered = make(map[netip.Addr]time.Time)
			}
			app.recovered[address] = now
			return
		}
	}
}

// date notes since when observers fail. What fails as the first pod gets ready, as the
// operator starts, or beyond what is remembered, may have failed for long.
func (m *Matrix) date(app *subject, address netip.Addr, failed []statement, now time.Time) {
	before := app.failing[address]
	if len(failed) == 0 {
		m.undate(app, address)
		return
	}
	kept := before != nil || len(app.failing) < remembered && m.dated < rememberedInAll
	known := 0
	for i := range failed {
		since, found := before[failed[i].by.name]
		switch {
		case found:
			known++
		case kept && (app.judged || !app.Known) && !now.Equal(app.changed):
			since = now
		}
		failed[i].since = since
	}
	if !kept || known == len(failed) && known == len(before) {
		return
	}
	since := make(map[string]time.Time, len(failed))
	for i := range failed {
		since[failed[i].by.name] = failed[i].since
	}
	if before == nil {
		m.dated++
	}
	if app.failing == nil {
		app.failing = make(map[netip.Addr]map[string]time.Time)
	}
	app.failing[address] = since
}

func (m *Matrix) undate(app *subject, address netip.Addr) {
	if app.failing[address] != nil {
		delete(app.failing, address)
		m.dated--
	}
}

// release forgets what was remembered of an app at an address.
func (m *Matrix) release(app *subject, address netip.Addr) {
	m.closeDoubt(app, address)
	m.undate(app, address)
	delete(app.contested, address)
	delete(app.recovered, address)
}

// releaseAll does so at all addresses. There may be no such app.
func (m *Matrix) releaseAll(app *subject) {
	if app != nil {
		m.releaseWhere(app, func(netip.Addr) bool { return true })
	}
}

// releaseWhere does so at all addresses of which that holds.
func (m *Matrix) releaseWhere(app *subject, holds func(netip.Addr) bool) {
	for address := range app.doubts {
		if holds(address) {
			m.closeDoubt(app, address)
		}
	}
	for address := range app.failing {
		if holds(address) {
			m.undate(app, address)
		}
	}
}
