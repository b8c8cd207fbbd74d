package verdict

import (
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/dispute"
)

// weigh holds what is reported against each other: what is newer than its contradiction, and
// which observers count at all. It records what is to be remembered.
func (e *evaluation) weigh(o *observations) {
	draft := e.app.Records[o.site.Address].Edit()
	if len(o.site.Outside) > 0 {
		e.recordRecovery(&draft, o)
	}
	e.recordFailingSince(&draft, o)
	left := e.contest(&draft, o)
	if o.notExpected == "" && len(o.reached) > 0 && (len(o.failed) > 0 || left > 0) {
		e.question(&draft, o, left > 0)
	} else {
		draft.Dispute = nil
	}
	switch {
	case o.outside.persists && len(o.outside.isolated) == 0:
		draft.ContestedSince = time.Time{}
	case left > 0:
		// Until it is found out, those that reach no node at all say nothing: they may be the
		// first to notice that no node answers, also where they have looked again.
		o.outside.undecided, o.outside.isolated = !o.outside.persists, nil
		o.wait(left)
	}
	e.remember(o.site.Address, draft.Result())
	if !o.selfOnly {
		e.setAside(o, draft.Dispute)
	}
	if o.selfReportLeft > 0 && len(o.failed) > 0 {
		o.wait(o.selfReportLeft)
	}
	if !o.skip.unreachable {
		site := o.site
		o.otherPorts = func(observer string) protocol.Outcome { return e.elsewhere(observer, site) }
	}
}

// remember has something remembered of the app at an address, nothing where it is nil. It
// counts for what comes after it in the evaluation.
func (e *evaluation) remember(address netip.Addr, after *dispute.Record) {
	before := e.app.Records[address]
	if before == after {
		return
	}
	change := dispute.Change{Address: address, Before: before, After: after}
	e.changes = append(e.changes, change)
	e.bounds, e.dated = e.bounds.With(e.app.NodePort(), change), e.dated+change.Dated()
	e.health, e.disputes = nil, nil
}

// contest returns for how long it may take yet until every result is newer than the
// contradiction of those outside of the cluster that do not reach the node and those in it
// that do. One that was there before the app was first judged is an old one.
func (e *evaluation) contest(draft *dispute.Draft, o *observations) (left time.Duration) {
	if o.notExpected != "" || len(o.reached) == 0 || len(o.outside.failed)+len(o.outside.isolated) == 0 {
		draft.Contested, draft.ContestedSince = false, time.Time{}
		return 0
	}
	if !draft.Contested {
		draft.Contested = true
		if e.app.Judged && !e.app.Disputed[o.site.Address] {
			draft.ContestedSince = e.now
		}
	}
	return max(draft.ContestedSince.Add(max(o.roundTime, o.outside.roundTime)).Sub(e.now), 0)
}

// question asks the observers that disagree to look again, and notes which have. Those outside
// of the cluster are asked while it is open whether they contradict those in it. Where too
// many disagree for that, it is for the reports to tell.
func (e *evaluation) question(draft *dispute.Draft, o *observations, contested bool) {
	address := o.site.Address
	if draft.Dispute == nil {
		if !e.bounds.Disputable(address) {
			o.wait(o.roundTime)
			return
		}
		draft.Dispute = dispute.Open(e.now)
	}
	open := draft.Dispute
	var outside []failure
	if contested {
		outside = o.outside.failures()
	}
	for _, observer := range o.reached {
		e.consult(open, address, o.site.Of(observer).Observer)
	}
	for _, failure := range slices.Concat(o.failed, outside) {
		e.consult(open, address, failure.by)
	}
	for _, observer := range o.reached {
		if open.Confirmed(observer) {
			o.confirmed = append(o.confirmed, observer)
		}
	}
	for i := range o.failed {
		failure := &o.failed[i]
		failure.persists = open.Persists(failure.Observer, failure.since, o.confirmed, e.now)
		o.disputeConfirmed = o.disputeConfirmed || failure.persists
	}
	o.outside.persists = contested
	// A failure that is heard of just after the node was back may be from before.
	recovers := e.now.Before(draft.RecoveredAt.Add(o.outside.roundTime))
	for i := range outside {
		if recovers {
			outside[i].since = time.Time{}
		}
		o.outside.persists = open.Persists(outside[i].Observer, outside[i].since, o.confirmed, e.now) && o.outside.persists
	}
	if !o.disputeConfirmed || len(o.confirmed) < len(o.reached) {
		// Who does not look again is heard when its turn has come.
		o.wait(max(open.Began.Add(o.roundTime).Sub(e.now), 0) + protocol.PromptHeartbeat)
	}
}

func (e *evaluation) consult(open *dispute.Dispute, address netip.Addr, observer *reachability.Observer) {
	open.Consult(&dispute.Observer{
		Name: observer.Name, Round: observer.RecheckRound, ReportedAt: observer.ReportedAt,
		RoundTime: observer.RoundTime(e.app.Period),
		AnsweredBefore: !e.app.Judged && e.app.Disputed[address] && observer.RecheckRound >= observer.Asked.Round &&
			observer.Asked.Covers(address, e.app.Service.NodePort),
	}, e.now)
}

// recordRecovery notes when the last failure in the cluster ends.
func (e *evaluation) recordRecovery(draft *dispute.Draft, o *observations) {
	if len(o.failed) > 0 {
		return
	}
	for observer := range draft.FailingSince {
		if o.site.Of(observer) != nil {
			draft.RecoveredAt = e.now
			return
		}
	}
}

// recordFailingSince notes since when observers fail, in the cluster and outside of it. What
// fails as the first pod gets ready, as the operator starts, or beyond what is remembered,
// may have failed for long.
func (e *evaluation) recordFailingSince(draft *dispute.Draft, o *observations) {
	before := draft.FailingSince
	if len(o.failed)+len(o.outside.failed)+len(o.outside.isolated) == 0 {
		draft.FailingSince = nil
		return
	}
	kept := before != nil || e.bounds.Datable(e.dated)
	dates, known, all := kept && (e.app.Judged || !e.app.Known) && !e.now.Equal(e.app.ChangedAt), 0, 0
	lists := [][]failure{o.failed, o.outside.failed, o.outside.isolated}
	for _, failures := range lists {
		for i := range failures {
			since, found := before[failures[i].Observer]
			switch {
			case found:
				known++
			case dates:
				since = e.now
			}
			failures[i].since = since
			all++
		}
	}
	if !kept || known == all && known == len(before) {
		return
	}
	draft.FailingSince = make(map[string]time.Time, all)
	for _, failures := range lists {
		for i := range failures {
			draft.FailingSince[failures[i].Observer] = failures[i].since
		}
	}
}
