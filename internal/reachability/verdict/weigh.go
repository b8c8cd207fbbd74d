package verdict

import (
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/dispute"
)

// weighing holds what is reported of a node against each other: what is newer than its
// contradiction, and which observers count at all.
type weighing struct {
	*evaluation
	*observations

	draft dispute.Draft
}

// weigh weighs the observations, and has remembered what is to be remembered.
func (w *weighing) weigh() {
	o := w.observations
	if len(o.site.Outside) > 0 {
		w.recordRecovery()
	}
	w.recordFailingSince()
	left := w.contest()
	if o.notExpected == "" && len(o.reached) > 0 && (len(o.failed) > 0 || left > 0) {
		w.question(left > 0)
	} else {
		w.draft.Dispute = nil
	}
	switch {
	case o.outside.persists && len(o.outside.isolated) == 0:
		w.draft.ContestedSince = time.Time{}
	case left > 0:
		// Until it is found out, those that reach no node at all say nothing: they may be the
		// first to notice that no node answers, also where they have looked again.
		o.outside.undecided, o.outside.isolated = !o.outside.persists, nil
		o.wait(left)
	}
	w.remember(o.site.Address, w.draft.Result())
	if !o.selfOnly {
		w.setAside()
	}
	if o.selfReportLeft > 0 && len(o.failed) > 0 {
		o.wait(o.selfReportLeft)
	}
	if !o.skip.unreachable {
		assessor, site := &w.assessor, o.site
		o.otherPorts = func(observer string) protocol.Outcome { return assessor.elsewhere(observer, site) }
	}
}

// contest returns for how long it may take yet until every result is newer than the
// contradiction of those outside of the cluster that do not reach the node and those in it
// that do. One that was there before the app was first judged is an old one.
func (w *weighing) contest() (left time.Duration) {
	if w.notExpected != "" || len(w.reached) == 0 || len(w.outside.failed)+len(w.outside.isolated) == 0 {
		w.draft.Contested, w.draft.ContestedSince = false, time.Time{}
		return 0
	}
	if !w.draft.Contested {
		w.draft.Contested = true
		if w.App.Judged && !w.App.Disputed[w.site.Address] {
			w.draft.ContestedSince = w.now
		}
	}
	return max(w.draft.ContestedSince.Add(max(w.roundTime, w.outside.roundTime)).Sub(w.now), 0)
}

// question asks the observers that disagree to look again, and notes which have. Those outside
// of the cluster are asked while it is open whether they contradict those in it. Where too
// many disagree for that, it is for the reports to tell.
func (w *weighing) question(contested bool) {
	address := w.site.Address
	if w.draft.Dispute == nil {
		if !w.assessor.bounds.Disputable(address) {
			w.wait(w.roundTime)
			return
		}
		w.draft.Dispute = dispute.Open(w.now)
	}
	open := w.draft.Dispute
	var outside []failure
	if contested {
		outside = w.outside.failures()
	}
	for _, observer := range w.reached {
		w.consult(w.site.Of(observer).Observer)
	}
	for _, failure := range slices.Concat(w.failed, outside) {
		w.consult(failure.by)
	}
	for _, observer := range w.reached {
		if open.Confirmed(observer) {
			w.confirmed = append(w.confirmed, observer)
		}
	}
	for i := range w.failed {
		failure := &w.failed[i]
		failure.persists = open.Persists(failure.Observer, failure.since, w.confirmed, w.now)
		w.disputeConfirmed = w.disputeConfirmed || failure.persists
	}
	w.outside.persists = contested
	// A failure that is heard of just after the node was back may be from before.
	recovers := w.now.Before(w.draft.RecoveredAt.Add(w.outside.roundTime))
	for i := range outside {
		if recovers {
			outside[i].since = time.Time{}
		}
		w.outside.persists = open.Persists(outside[i].Observer, outside[i].since, w.confirmed, w.now) && w.outside.persists
	}
	if !w.disputeConfirmed || len(w.confirmed) < len(w.reached) {
		// Who does not look again is heard when its turn has come.
		w.wait(max(open.Began.Add(w.roundTime).Sub(w.now), 0) + protocol.PromptHeartbeat)
	}
}

func (w *weighing) consult(observer *reachability.Observer) {
	w.draft.Dispute.Consult(&dispute.Observer{
		Name: observer.Name, Round: observer.RecheckRound, ReportedAt: observer.ReportedAt,
		RoundTime: observer.RoundTime(w.App.Period),
		AnsweredBefore: !w.App.Judged && w.App.Disputed[w.site.Address] && observer.RecheckRound >= observer.Asked.Round &&
			observer.Asked.Covers(w.site.Address, w.App.Service.NodePort),
	}, w.now)
}

// recordRecovery notes when the last failure in the cluster ends.
func (w *weighing) recordRecovery() {
	if len(w.failed) > 0 {
		return
	}
	for observer := range w.draft.FailingSince {
		if w.site.Of(observer) != nil {
			w.draft.RecoveredAt = w.now
			return
		}
	}
}

// recordFailingSince notes since when observers fail, in the cluster and outside of it. What
// fails as the first pod gets ready, as the operator starts, or beyond what is remembered,
// may have failed for long.
func (w *weighing) recordFailingSince() {
	before := w.draft.FailingSince
	if len(w.failed)+len(w.outside.failed)+len(w.outside.isolated) == 0 {
		w.draft.FailingSince = nil
		return
	}
	kept := before != nil || w.assessor.bounds.Datable(w.dated)
	dates, known, all := kept && (w.App.Judged || !w.App.Known) && !w.now.Equal(w.App.ChangedAt), 0, 0
	lists := [][]failure{w.failed, w.outside.failed, w.outside.isolated}
	for _, failures := range lists {
		for i := range failures {
			since, found := before[failures[i].Observer]
			switch {
			case found:
				known++
			case dates:
				since = w.now
			}
			failures[i].since = since
			all++
		}
	}
	if !kept || known == all && known == len(before) {
		return
	}
	w.draft.FailingSince = make(map[string]time.Time, all)
	for _, failures := range lists {
		for i := range failures {
			w.draft.FailingSince[failures[i].Observer] = failures[i].since
		}
	}
}

// setAside takes the failures of those observers out that are themselves the problem, or that
// may be until others have looked again: as long as they are the exception, in the cluster
// and among those that observe the node, its own included. Who is merely the last to
// notice that a node answers again is not set aside: an old failure must have been seen anew.
func (w *weighing) setAside() {
	open := w.draft.Dispute
	var aside []string
	suspects, holds := 0, time.Duration(0)
	for i := range w.failed {
		failure := &w.failed[i]
		if open == nil && w.assessor.disputesOf(failure.by) < reachability.Enough {
			// Nobody contradicts it. To find out more takes a look at all observers.
			continue
		}
		health := w.assessor.healthOf(failure.by)
		left := time.Duration(0)
		if open != nil {
			left = open.Began.Add(graceFor(failure.by)).Sub(w.now)
		}
		switch {
		case health.isolated && health.contradicted && (open == nil || failure.persists):
			aside = append(aside, failure.Observer)
		case health.isolated && left > 0 && (holds == 0 || left < holds):
			holds = left
		case !health.isolated || left <= 0:
			continue
		}
		failure.suspect = true
		suspects++
	}
	votes := len(w.reached)
	if w.selfAssents {
		votes++
	}
	if suspects == 0 || !w.Exceptional || len(w.reached) > 0 && suspects >= votes {
		return
	}
	w.aside = aside
	w.failed = slices.DeleteFunc(w.failed, func(failure failure) bool { return failure.suspect })
	w.failedBy = len(w.failed)
	if holds > 0 {
		w.wait(holds)
	}
}
