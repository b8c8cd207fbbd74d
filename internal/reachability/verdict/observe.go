package verdict

import (
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/diagnosis"
)

// observations are what the observers of one node report of one app.
type observations struct {
	node *reachability.Node
	// site is where the node should answer, nil where it has no address.
	site     *reachability.Site
	nodePort uint16
	skip     skip
	// notExpected is why the node is not expected to answer, if it is not.
	notExpected string
	// podless is set where the node is expected to answer, but no pod could. The
	// errors of the dials mean nothing then: kube-proxy's rejections pass a rate limit
	// of the kernel, so refusals and timeouts take turns.
	podless bool
	// selfOnly is set where the node's own report has to do.
	selfOnly bool

	// heard is set where the lists below are filled. reachedBy, failedBy, silentBy and
	// translatedBy count them, and stand for them where all observers report the same.
	heard                                       bool
	reachedBy, failedBy, silentBy, translatedBy int
	// reached are the observers that got an answer, confirmed those of them
	// whose result is newer than that of the observers that got none.
	reached, confirmed []string
	failed             []failure
	// silent are the observers that have a fresh report, but no result on the app
	// as it is now.
	silent []string
	// translated are the observers whose own kernels take their dials elsewhere, and
	// hosts those on whose own hosts the address is as well. Neither say anything about the
	// node.
	translated []diagnosis.Failure
	hosts      []string
	// aside are the observers that got no answer and reach no other node
	// either, where others do. While that is being found out, they are in no list.
	aside   []string
	outside outside

	// disputeConfirmed is set where a failure is newer than the results of those confirmed,
	// of which there is one at least.
	disputeConfirmed bool
	// self is what the node's own observer reports, which is no proof, but a clue. What
	// the others report may be older for as long as selfReportLeft.
	self           protocol.Outcome
	selfReportLeft time.Duration
	// selfAssents is whether the node's own observer is there, and reports nothing against it.
	selfAssents bool
	// otherPorts returns whether an observer reaches the node on other node ports. It is nil
	// where nobody reads what is behind a failure.
	otherPorts func(observer string) protocol.Outcome
	// roundTime is the time by which every result is newer than a change.
	roundTime time.Duration
	// holds is when to judge again, 0 for when there is another report.
	holds time.Duration
}

// failure is an observer that does not reach the node.
type failure struct {
	diagnosis.Failure

	by    *reachability.Observer
	since time.Time
	// persists is set where it goes on although others reach the node.
	persists bool
	// suspect is set where the observer may be the problem.
	suspect bool
}

// dialled returns where the node should answer.
func (o *observations) dialled() netip.AddrPort {
	return netip.AddrPortFrom(o.site.Address, o.nodePort)
}

// reset empties the observations for the next node, and keeps their room. Where all
// observers reported the same there is next to nothing to empty.
func (o *observations) reset() {
	if !o.heard {
		o.podless, o.reachedBy, o.failedBy, o.translatedBy, o.roundTime, o.holds = false, 0, 0, 0, 0, 0
		return
	}
	*o = observations{
		reached: o.reached[:0], confirmed: o.confirmed[:0], failed: o.failed[:0], silent: o.silent[:0],
		translated: o.translated[:0], hosts: o.hosts[:0],
	}
}

// observe gathers what is reported of a node. What its own observer reports counts only
// where it is alone.
func (e *evaluation) observe(node int, pods pods, skip skip) *observations {
	o := &e.observations
	o.reset()
	o.node, o.site, o.nodePort = &e.Nodes[node], e.Site(node, pods.family), e.App.NodePort()
	o.skip, o.selfOnly, o.notExpected = skip, len(e.Nodes) == 1, e.whyNotExpected(o.node, o.site, pods.family)
	if o.site == nil {
		return o
	}
	o.podless = o.notExpected == "" && !pods.ready
	if e.unanimous(o) {
		e.remember(o.site.Address, nil)
		return o
	}
	o.heard = true
	for i := range o.site.Inside {
		e.hear(o, &o.site.Inside[i])
	}
	e.hearOutside(o)
	if o.podless {
		// It does not matter who gets an answer, nor since when.
		e.remember(o.site.Address, nil)
		return o
	}
	w := weighing{evaluation: e, observations: o, draft: e.record(o.site.Address).Edit()}
	w.weigh()
	return o
}

// whyNotExpected returns why a node is not expected to answer, or nothing.
func (e *evaluation) whyNotExpected(node *reachability.Node, site *reachability.Site, family corev1.IPFamily) (reason string) {
	switch {
	case node.Excluded, e.App.Expected != nil && !e.App.Expected.Matches(node.Labels):
		return v1alpha1.ReasonNodeExcluded
	case node.Deleting:
		return v1alpha1.ReasonNodeDeleting
	case !node.Ready:
		return v1alpha1.ReasonNodeNotReady
	case site == nil:
		return v1alpha1.ReasonNoAddress
	case e.App.Local() && !e.App.Endpoints.ReadyOn(node.Name, family):
		return v1alpha1.ReasonNoLocalEndpoint
	}
	return ""
}

// unanimous counts the observers where all report the same and nobody reads who they are,
// and reports whether that is so. On a large cluster it nearly always is.
func (e *evaluation) unanimous(o *observations) bool {
	if o.selfOnly || o.notExpected != "" || len(o.site.Outside) > 0 {
		return false
	}
	consensus := o.site.Consensus(o.node.Name)
	switch {
	case consensus.Reached(e.App):
		o.reachedBy = consensus.Observers
	case o.podless && consensus.Failed(e.App), o.podless && o.skip.unreachable && consensus.Disputed(e.App):
		// Who disagrees does not matter where no pod could answer, but to who reads it.
		o.failedBy = consensus.Observers
	case o.skip.rest && consensus.Translated(e.App):
		o.translatedBy = consensus.Observers
	default:
		return false
	}
	o.roundTime = consensus.RoundTime(e.App.Period)
	return true
}

// hear adds what an observer in the cluster reports.
func (e *evaluation) hear(o *observations, sight *reachability.Sight) {
	outcome, exception := sight.Outcome(e.App)
	itself, roundTime := sight.Name == o.node.Name, sight.RoundTime(e.App.Period)
	if itself {
		if outcome == protocol.Reached || outcome == protocol.Failed {
			o.self = outcome
		}
		o.selfAssents = sight.Counts() && outcome != protocol.Failed
		o.selfReportLeft = max(sight.ChangedAt.Add(roundTime).Sub(e.now), 0)
	}
	switch {
	case !sight.Counts() || itself != o.selfOnly:
		return
	case outcome == protocol.OwnHost || !itself && sight.Owns(o.site.Address):
		o.hosts = append(o.hosts, sight.Name)
		return
	case outcome == protocol.Translated:
		o.translated = append(o.translated, diagnosis.Failure{Observer: sight.Name, Exception: exception})
		o.translatedBy++
		return
	}
	o.roundTime = max(o.roundTime, roundTime)
	switch outcome {
	case protocol.Reached:
		o.reached = append(o.reached, sight.Name)
		o.reachedBy++
	case protocol.Failed:
		o.failed = append(o.failed, failureOf(sight, exception))
		o.failedBy++
	default:
		o.silent = append(o.silent, sight.Name)
		o.silentBy++
	}
}

func failureOf(sight *reachability.Sight, exception *protocol.Exception) failure {
	return failure{Failure: diagnosis.Failure{Observer: sight.Name, Exception: exception}, by: sight.Observer}
}

// wait has it judged again after a time, or earlier.
func (o *observations) wait(left time.Duration) {
	if o.holds == 0 || left < o.holds {
		o.holds = left
	}
}

// hearOutside gathers what is reported from outside of the cluster.
func (e *evaluation) hearOutside(o *observations) {
	for i := range o.site.Outside {
		sight := &o.site.Outside[i]
		outcome, exception := sight.Outcome(e.App)
		switch {
		case sight.Stale:
			continue
		case outcome == protocol.Reached:
			o.outside.reached = append(o.outside.reached, sight.Name)
		case outcome == protocol.Failed && !e.assessor.reachesAny(sight.Observer):
			o.outside.isolated = append(o.outside.isolated, failureOf(sight, exception))
		case outcome == protocol.Failed:
			o.outside.failed = append(o.outside.failed, failureOf(sight, exception))
		default:
			continue
		}
		o.outside.roundTime = max(o.outside.roundTime, sight.RoundTime(e.App.Period))
	}
}
