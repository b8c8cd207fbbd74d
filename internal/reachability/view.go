package reachability

import (
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// cycleSlack is what a full turn of probes may take beyond its period: a timeout, its
// confirmation and the report.
const cycleSlack = 10 * time.Second

// view is a report as it concerns one app. An app is judged on thousands of
// nodes, and each observer speaks of several.
type view struct {
	app *subject
	// stale is whether the report was when the view was taken.
	stale bool
	// covered is whether the report speaks of the app at all.
	covered bool
	// failures and pending are those of the report that name the app's node port.
	failures, pending []*protocol.Exception
	// cycle is that of the observer.
	cycle time.Duration
}

// viewFor returns the view of an app, the last one where that is still true.
func (e *entry) viewFor(app *subject) *view {
	if e.view.app != app || e.view.stale != e.stale {
		e.view.take(e, app)
	}
	return &e.view
}

// cycle returns the time in which every pair of an observer was probed and its word
// written.
func (e *entry) cycle(app *subject) time.Duration {
	return max(budget.Period(app.Period, e.size, len(e.Addresses)), e.turn) + cycleSlack
}

// take makes a view that of an app, in the room of the former one.
func (v *view) take(e *entry, app *subject) {
	nodePort := uint16(app.Service.NodePort)
	*v = view{
		app:      app,
		stale:    e.stale,
		covered:  !e.stale && e.NodePorts.Contains(nodePort) && covers(e.ServicesVersion, app.since),
		failures: v.failures[:0],
		pending:  v.pending[:0],
		cycle:    e.cycle(app),
	}
	for i := range e.Failures {
		if e.Failures[i].NodePorts.Contains(nodePort) {
			v.failures = append(v.failures, &e.Failures[i])
		}
	}
	for i := range e.Pending {
		if e.Pending[i].NodePorts.Contains(nodePort) {
			v.pending = append(v.pending, &e.Pending[i])
		}
	}
}

// about returns the observer's word on the app at one of the addresses that it dials,
// and what it says beside it where it was not reached.
func (v *view) about(address netip.Addr) (protocol.Outcome, *protocol.Exception) {
	if !v.covered {
		return protocol.Silent, nil
	}
	for _, failure := range v.failures {
		if slices.Contains(failure.Addresses, address) {
			return protocol.Failed, failure
		}
	}
	for _, pending := range v.pending {
		if slices.Contains(pending.Addresses, address) {
			return pending.Outcome, pending
		}
	}
	return protocol.Reached, nil
}

// about returns the observer's word on an app at an address.
func (e *entry) about(address netip.Addr, app *subject) protocol.Outcome {
	if !slices.Contains(e.Addresses, address) {
		return protocol.Silent
	}
	said, _ := e.viewFor(app).about(address)
	return said
}

// covers tells whether a report made with knowledge of the Services at version
// knew of since. What is said of an older state is no word on a newer one:
// another app may have held the port then.
func covers(version, since string) bool {
	order, err := resourceversion.CompareResourceVersion(version, since)
	return err == nil && order >= 0
}
