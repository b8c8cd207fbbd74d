package verdict

import (
	"slices"
	"strings"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/diagnosis"
)

// settleTime is how long after a change a failure is not yet held against a
// node: kube-proxy programs Services and endpoints with a delay.
const settleTime = 5 * time.Second

// letOutsideStandIn has observers outside stand in for those inside where there are none.
// Where there is nothing that should answer, or could, they hold nothing against a node.
func (o *observations) letOutsideStandIn() {
	inside := o.reachedBy+o.failedBy > 0
	if o.notExpected != "" || o.podless && inside {
		o.outside.failed = nil
	}
	if inside || len(o.outside.reached)+len(o.outside.failed) == 0 {
		return
	}
	o.reached, o.failed = append(o.reached, o.outside.reached...), append(o.failed, o.outside.failed...)
	o.reachedBy, o.failedBy = len(o.reached), len(o.failed)
	o.roundTime = max(o.roundTime, o.outside.roundTime)
	o.outside.failed, o.outside.standsIn = nil, true
}

// stateFrom turns what is reported of a node into its state. quiet returns the time since
// anything about the app or the node changed.
func (o *observations) stateFrom(verdict *v1alpha1.NodeVerdict, quiet func() time.Duration) {
	is := func(state v1alpha1.NodeState, reason, message string) {
		verdict.State, verdict.Reason, verdict.Message = state, reason, message
	}
	unknown := func(reason string, message func() string) {
		is(v1alpha1.NodeUnknown, reason, o.unlessSkipped(message))
	}
	complete := o.silentBy == 0 || quiet() >= reachability.Grace
	switch {
	case o.failedBy+len(o.outside.failed) > 0 && quiet() < settleTime:
		unknown(v1alpha1.ReasonPending, func() string { return "not yet: " + o.blame(o.outside.failed) })
		o.wait(settleTime - quiet())
	case o.failedBy > 0:
		reason, message := o.unreachable()
		is(v1alpha1.NodeUnreachable, reason, message)
	case len(o.outside.failed) > 0 && o.outside.undecided:
		reason, message := o.unreachableFromOutside(o.outside.failed)
		is(v1alpha1.NodeUnreachable, reason, message)
	case len(o.outside.failed) > 0:
		is(v1alpha1.NodeUnreachable, v1alpha1.ReasonOutsideUnreachable, o.outsideUnreachable())
	case o.reachedBy > 0 && complete:
		reason, message := o.reservation()
		is(v1alpha1.NodeReachable, reason, message)
	case o.translatedBy > 0 && complete:
		unknown(v1alpha1.ReasonTranslatedAtSource, func() string {
			return diagnosis.Translated(o.translated, o.dialled(), diagnosis.Observers(diagnosed(o.outside.isolated)))
		})
	case len(o.hosts) > 0 && o.silentBy == 0:
		unknown(v1alpha1.ReasonNoObserver, func() string { return diagnosis.OwnAddress(o.site.Text, o.hosts) })
	case quiet() < reachability.Grace:
		is(v1alpha1.NodeUnknown, v1alpha1.ReasonPending, diagnosis.Waiting)
		o.wait(reachability.Grace - quiet())
	case o.silentBy > 0:
		unknown(v1alpha1.ReasonPending, func() string { return "no result yet from " + diagnosis.List(o.silent) })
	case len(o.aside) > 0:
		is(v1alpha1.NodeUnknown, v1alpha1.ReasonNoObserver, diagnosis.SetAside(o.aside))
	default:
		is(v1alpha1.NodeUnknown, v1alpha1.ReasonNoObserver, diagnosis.NoObserver)
	}
}

// unlessSkipped returns what is said of a node that is not unreachable, if anybody reads it.
func (o *observations) unlessSkipped(text func() string) string {
	if o.skip.rest {
		return ""
	}
	return text()
}

// explainNotExpected says that a node is not expected to answer, and what was found all the
// same.
func (o *observations) explainNotExpected(verdict *v1alpha1.NodeVerdict) {
	verdict.Reason, verdict.Message = o.notExpected, diagnosis.NotExpected(o.notExpected, verdict.Family)
	// Of a node that is left out nobody asks for more: it may be one that never answers.
	if o.failedBy > 0 && o.notExpected != v1alpha1.ReasonNoLocalEndpoint && o.notExpected != v1alpha1.ReasonNodeExcluded {
		verdict.Message += o.unlessSkipped(func() string { return "; not from " + o.blame(nil) })
	}
}

// flagUnexpectedAnswer says so of a node that should drop what comes, and answers, once it is
// settled that it does.
func (o *observations) flagUnexpectedAnswer(verdict *v1alpha1.NodeVerdict, settled func() bool) {
	if verdict.State != v1alpha1.NodeReachable || !settled() {
		return
	}
	verdict.Reason, verdict.Message = v1alpha1.ReasonUnexpectedAnswer, diagnosis.UnexpectedAnswer
	if o.silentBy == 0 && !o.outside.standsIn {
		verdict.Message += diagnosis.OrTranslated
	}
}

// applyEndpoints holds a node's state against whether there is a pod that could answer.
// settled reports whether the answers are newer than the end of the last one.
func (o *observations) applyEndpoints(verdict *v1alpha1.NodeVerdict, pods pods, settled func() bool) {
	answers := verdict.State == v1alpha1.NodeReachable
	switch {
	case !answers && !pods.ready:
		verdict.Reason, verdict.Message = v1alpha1.ReasonNoReadyEndpoints, diagnosis.NoReadyEndpoints
	case answers && !pods.serve && settled():
		verdict.State = v1alpha1.NodeUnreachable
		verdict.Reason, verdict.Message = v1alpha1.ReasonNotServed, diagnosis.NotServed
	case answers && !pods.serve:
		verdict.State = v1alpha1.NodeUnknown
		verdict.Reason, verdict.Message = v1alpha1.ReasonNoReadyEndpoints, diagnosis.NoReadyEndpoints
	}
}

// passed reports whether no time is left. Where some is, the verdict holds for no longer.
func (o *observations) passed(left time.Duration) bool {
	if left > 0 {
		o.wait(left)
	}
	return left <= 0
}

// reservation returns the reason and the message that a node which answers carries all the
// same: that nobody else confirms it, or who was not heard.
func (o *observations) reservation() (reason, message string) {
	var parts []string
	if o.selfOnly && len(o.outside.reached) == 0 {
		reason, parts = v1alpha1.ReasonReachableFromSelfOnly, append(parts, diagnosis.ReachableFromSelfOnly)
	}
	if len(o.aside) > 0 {
		parts = append(parts, diagnosis.SetAside(o.aside))
	}
	if len(o.outside.isolated) > 0 {
		parts = append(parts, diagnosis.OutsideSetAside(diagnosis.Observers(diagnosed(o.outside.isolated))))
	}
	if reason == "" && len(parts) > 0 {
		reason = v1alpha1.ReasonSuspectObserver
	}
	return reason, strings.Join(parts, "; ")
}

// unreachable returns the reason of an unreachable node, and a message with the raw
// errors of the dials, what is likely behind them, and what to do next.
func (o *observations) unreachable() (reason, message string) {
	if o.podless {
		return v1alpha1.ReasonNoReadyEndpoints, diagnosis.NoReadyEndpoints
	}
	if o.outside.standsIn {
		return o.unreachableFromOutside(o.failed)
	}
	reason = o.failed[0].Reason
	var confirmed []string
	if o.disputeConfirmed {
		reason, confirmed = v1alpha1.ReasonPartiallyReachable, o.confirmed
	}
	if o.skip.unreachable {
		return reason, ""
	}
	failed, likely := o.caseOf(o.failed), ""
	// Before that it is not settled yet what holds together.
	if o.selfReportLeft == 0 && (!failed.Partial || o.disputeConfirmed) {
		likely = failed.Likely()
	}
	return reason, failed.Unreachable(reason, confirmed, likely)
}

// unreachableFromOutside does so of a node for whose state the failures of observers outside
// have to do.
func (o *observations) unreachableFromOutside(failed []failure) (reason, message string) {
	if reason = failed[0].Reason; o.skip.unreachable {
		return reason, ""
	}
	return reason, o.caseOf(failed).UnreachableFromOutside(reason)
}

func (o *observations) outsideUnreachable() string {
	if o.skip.unreachable {
		return ""
	}
	return o.caseOf(o.outside.failed).OutsideUnreachable(slices.Concat(o.reached, o.outside.reached))
}

func (o *observations) caseOf(failed []failure) *diagnosis.Case {
	return &diagnosis.Case{
		Node: o.node.Name, Failed: diagnosed(failed), Partial: o.reachedBy > 0, Self: o.self, OtherPorts: o.otherPorts,
	}
}

// blame names the observers that failed, those and more.
func (o *observations) blame(more []failure) string {
	if o.podless {
		return diagnosis.NoReadyEndpoints
	}
	return diagnosis.Blame(diagnosed(slices.Concat(o.failed, more)))
}
