package reachability

import (
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/exposedapp/exposedapp/internal/budget"
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
	failures, pending []*exception
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
	return max(budget.Period(app.Period, e.size, len(e.addresses)), e.turn) + cycleSlack
}

// take makes a view that of an app, in the room of the former one.
func (v *view) take(e *entry, app *subject) {
	nodePort := uint16(app.Service.NodePort)
	*v = view{
		app:      app,
		stale:    e.stale,
		covered:  !e.stale && e.nodePorts.Contains(nodePort) && covers(e.version, app.since),
		failures: v.failures[:0],
		pending:  v.pending[:0],
		cycle:    e.cycle(app),
	}
	for i := range e.failures {
		if e.failures[i].nodePorts.Contains(nodePort) {
			v.failures = append(v.failures, &e.failures[i])
		}
	}
	for i := range e.pending {
		if e.pending[i].nodePorts.Contains(nodePort) {
			v.pending = append(v.pending, &e.pending[i])
		}
	}
}

// about returns the observer's word on the app at one of the addresses that it dials,
// and what it says beside it where it was not reached.
func (v *view) about(address netip.Addr) (word, *exception) {
	if !v.covered {
		return silent, nil
	}
	for _, failure := range v.failures {
		if slices.Contains(failure.addresses, address) {
			return failed, failure
		}
	}
	for _, pending := range v.pending {
		if slices.Contains(pending.addresses, address) {
			return pending.said, pending
		}
	}
	return reached, nil
}

// about returns the observer's word on an app at an address.
func (e *entry) about(address netip.Addr, app *subject) word {
	if !slices.Contains(e.addresses, address) {
		return silent
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
