// Package verdict judges whether the nodes of a cluster answer on an app's node port, by a
// Snapshot of what is known. An evaluation is a query: it changes nothing, and gives the same
// again. What is to be remembered because of it, and who is to be asked, it returns as
// Changes. These go back into the State, which Append does.
//
// For each node and IP family it gathers what the observers report (observe.go), weighs it
// where they disagree (weigh.go), and draws the conclusion (conclude.go).
package verdict

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/reachability"
	"github.com/exposedapp/exposedapp/internal/reachability/dispute"
)

// MaxDetailed is how many verdicts say who reports so, and why. On a cluster of thousands
// that took half of the time, and nobody reads so many. Where as many nodes before it are as
// bad, or worse, a verdict may give its state and reason alone.
const MaxDetailed = 24

// skip is of which verdicts nobody reads the details: of an unreachable node, and of the
// rest.
type skip struct{ unreachable, rest bool }

// Result is what an evaluation comes to.
type Result struct {
	// Verdicts carry no lastTransitionTime.
	Verdicts []v1alpha1.NodeVerdict
	// Holds is how long they hold if nothing is heard: 0 when they hold for good.
	Holds time.Duration
	// Changes are of what is remembered of the app.
	Changes []dispute.Change
}

// Append judges an app on every node that is known, once per IP family of its Service,
// appends that to verdicts, and has the state remember what is to be remembered. verdicts
// may be thousands, which are worth being overwritten by those of the next app.
func Append(
	verdicts []v1alpha1.NodeVerdict, state *reachability.State, key types.NamespacedName, now time.Time,
) ([]v1alpha1.NodeVerdict, time.Duration) {
	snapshot := state.Snapshot(key)
	if snapshot.App == nil || snapshot.App.NodePort() == 0 {
		return verdicts, 0
	}
	result := Evaluate(verdicts, &snapshot, now)
	state.Remember(key, snapshot.App, result.Changes, now)
	return result.Verdicts, result.Holds
}

// Evaluate judges the app of a Snapshot, which is not nil, on every node, and appends that to
// verdicts.
func Evaluate(verdicts []v1alpha1.NodeVerdict, snapshot *reachability.Snapshot, now time.Time) Result {
	e := newEvaluation(snapshot, now)
	result := Result{Verdicts: slices.Grow(verdicts, len(snapshot.Nodes)*len(e.App.Families))}
	unreachable, unknown := 0, 0
	for i := range snapshot.Nodes {
		skip := skip{unreachable: unreachable >= MaxDetailed, rest: unreachable+unknown >= MaxDetailed}
		for _, pods := range e.pods {
			result.Verdicts = append(result.Verdicts, v1alpha1.NodeVerdict{})
			verdict := &result.Verdicts[len(result.Verdicts)-1]
			holds := e.judge(verdict, i, pods, skip)
			switch {
			case verdict.Expected && verdict.State == v1alpha1.NodeUnreachable:
				unreachable++
			case verdict.Expected && verdict.State == v1alpha1.NodeUnknown:
				unknown++
			}
			if holds > 0 && (result.Holds == 0 || holds < result.Holds) {
				result.Holds = holds
			}
		}
	}
	for _, address := range e.changed {
		change := dispute.Change{Address: address, Before: e.App.Records[address], After: e.records[address]}
		result.Changes = append(result.Changes, change)
	}
	return result
}

// pods is whether there is a pod in an IP family that is ready, and one that can serve at
// all.
type pods struct {
	family       corev1.IPFamily
	ready, serve bool
}

// evaluation is one in progress.
type evaluation struct {
	*reachability.Snapshot

	now  time.Time
	pods []pods
	// observations are those on the last node, whose room the next ones take.
	observations observations

	// changed are the addresses of which something else is to be remembered, in the order in
	// which that was found, and records what. Nodes may share an address.
	changed []netip.Addr
	records map[netip.Addr]*dispute.Record
	// dated is at how many addresses it is known since when the app fails.
	dated    int
	assessor assessor
	// fractions is how it is written that so many observers of so many reach a node.
	fractions []string
}

func newEvaluation(snapshot *reachability.Snapshot, now time.Time) *evaluation {
	e := &evaluation{
		Snapshot: snapshot, now: now,
		assessor: assessor{Snapshot: snapshot, bounds: snapshot.Bounds, covered: make(map[coverage]nodeport.Set)},
	}
	for _, family := range e.App.Families {
		e.pods = append(e.pods, pods{family, e.App.Endpoints.ReadyIn(family), e.App.Endpoints.ServedIn(family)})
	}
	for _, record := range e.App.Records {
		if record.FailingSince != nil {
			e.dated++
		}
	}
	return e
}

// judge gives the verdict on one node in one IP family, and returns how long it holds if
// nothing is heard.
func (e *evaluation) judge(verdict *v1alpha1.NodeVerdict, node int, pods pods, skip skip) (holds time.Duration) {
	o := e.observe(node, pods, skip)
	verdict.Node, verdict.Family, verdict.Expected = o.node.Name, pods.family, o.notExpected == ""
	if o.site != nil {
		verdict.Address = o.site.Text
	}
	if !skip.unreachable {
		verdict.Observers = e.fraction(o.reachedBy, o.reachedBy+o.failedBy+o.silentBy)
		verdict.Outside = o.outside.fraction()
	}
	o.letOutsideStandIn()
	o.stateFrom(verdict, func() time.Duration { return e.now.Sub(e.App.LastChange(o.node)) })

	// Before that a result may be older than the last change of the endpoints.
	settled := func() bool { return o.passed(e.App.MovedAt.Add(o.roundTime).Sub(e.now)) }
	if o.notExpected == "" {
		o.applyEndpoints(verdict, pods, settled)
		return o.holds
	}
	o.explainNotExpected(verdict)
	if serves, _ := e.App.Endpoints.On(o.node.Name, pods.family); o.notExpected == v1alpha1.ReasonNoLocalEndpoint && !serves {
		o.flagUnexpectedAnswer(verdict, settled)
	}
	return o.holds
}

// remember has something remembered of the app at an address, nothing where it is nil. It
// counts for what comes after it in the evaluation.
func (e *evaluation) remember(address netip.Addr, after *dispute.Record) {
	before := e.record(address)
	if before == after {
		return
	}
	if _, again := e.records[address]; !again {
		e.changed = append(e.changed, address)
	}
	if e.records == nil {
		e.records = make(map[netip.Addr]*dispute.Record)
	}
	e.records[address] = after
	change := dispute.Change{Address: address, Before: before, After: after}
	e.dated += change.Dated()
	e.assessor.count(change)
}

// record returns what is to be remembered of the app at an address, as far as is known.
func (e *evaluation) record(address netip.Addr) *dispute.Record {
	if record, changed := e.records[address]; changed {
		return record
	}
	return e.App.Records[address]
}

// fraction returns how it is written that so many observers of so many reach a node. All
// do, nearly always.
func (e *evaluation) fraction(reached, heard int) string {
	if reached != heard || heard == 0 {
		return fraction(reached, heard)
	}
	for n := len(e.fractions); n <= heard; n++ {
		e.fractions = append(e.fractions, fraction(n, n))
	}
	return e.fractions[heard]
}

func fraction(reached, heard int) string {
	if heard == 0 {
		return ""
	}
	return strconv.Itoa(reached) + "/" + strconv.Itoa(heard)
}
