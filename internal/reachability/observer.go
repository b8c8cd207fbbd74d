package reachability

import (
	"net/netip"
	"slices"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/budget"
	"github.com/exposedapp/exposedapp/internal/protocol"
	"github.com/exposedapp/exposedapp/internal/reachability/results"
)

const (
	// roundSlack is what a full round of probes may take beyond its period: a timeout, its
	// confirmation and the report.
	roundSlack = 10 * time.Second

	// Enough is how many other nodes an observer must fail to reach for it to be the problem
	// itself. With one, it may as well be what is between the two.
	Enough = 2
)

// Observer is an agent by its newest report. It is immutable.
type Observer struct {
	*results.Results

	Name string
	// ReportedAt is when the report was last renewed, and ChangedAt when it last said
	// something new.
	ReportedAt, ChangedAt time.Time
	Heartbeat             time.Duration
	// Present is whether there is a Node of that name, and Stale whether the report was not
	// renewed in time.
	Present, Stale bool
	// Outside is whether the observer is outside of the cluster.
	Outside bool
	// Asked is the request to look again that stood beside the report.
	Asked protocol.Recheck

	// received is the report with the object that it came in.
	received  *Report
	renewTime time.Time
	// own are the addresses of the observer's own Node.
	own []netip.Addr
	// pace is in what time it probes all that it is given, at the most probes per second
	// that it and all agents together may make.
	pace time.Duration
	// reaching is whether it reaches another node on some node port, and cutOff whether it
	// reaches none, and fails to reach some.
	reaching, cutOff bool
}

// next returns the observer after another report came; the observer is nil before the
// first. On the first sight of a report, which may be long after it was written, its age
// counts by the node's clock; from then on by the operator's, so that clocks that differ do
// no harm.
func (o *Observer) next(received *Report, now time.Time) *Observer {
	object := &received.NodeReachability
	next := &Observer{
		Results:    received.results,
		Name:       object.Name,
		ReportedAt: now,
		Heartbeat:  protocol.Heartbeat(object.Spec.HeartbeatSeconds),
		Outside:    object.Outside(),
		received:   received,
		own:        ownAddresses(object),
	}
	pairs := next.NodePorts.Len() * len(next.Addresses)
	next.pace = max(time.Duration(pairs)*time.Second/budget.PerAgent,
		budget.Period(0, int(object.Spec.ClusterSize), len(next.Addresses)))
	next.reaching, next.cutOff = next.reach()
	// A request that cannot be read asks for nothing.
	next.Asked, _ = protocol.DecodeRecheck(object.Spec.Recheck)
	if object.Status.RenewTime != nil {
		next.renewTime = object.Status.RenewTime.Time
	}
	switch {
	case o == nil && next.renewTime.Before(now):
		next.ReportedAt = next.renewTime
	case o != nil && next.renewTime.Equal(o.renewTime):
		next.ReportedAt = o.ReportedAt
	}
	if o != nil {
		next.ChangedAt = o.ChangedAt
		if !results.Differing(o.Results, next.Results).IsEmpty() {
			next.ChangedAt = now
		}
	}
	next.Stale = next.overdue(now)
	return next
}

// overdue reports whether the report should have been renewed by now.
func (o *Observer) overdue(now time.Time) bool {
	return now.Sub(o.ReportedAt) >= protocol.StaleAfter*o.Heartbeat
}

// isFrom reports whether the observer is known by a report already.
func (o *Observer) isFrom(report *Report) bool {
	return report.ResourceVersion != "" && o.received.UID == report.UID && o.received.ResourceVersion == report.ResourceVersion
}

func ownAddresses(object *v1alpha1.NodeReachability) (own []netip.Addr) {
	for _, target := range object.Spec.Targets {
		if target.Node != object.Name {
			continue
		}
		for _, text := range target.Addresses {
			if address, err := netip.ParseAddr(text); err == nil {
				own = append(own, address)
			}
		}
	}
	return own
}

// reach reports whether an observer reaches any other node, and whether it is cut off from
// them, by its report alone.
func (o *Observer) reach() (reaching, cutOff bool) {
	failing := 0
	for _, address := range o.Addresses {
		switch {
		case o.Owns(address):
		case !o.Closed(address):
			return true, false
		default:
			if site := o.At(address); !site.Outcomes().Failed.IsEmpty() {
				failing++
			}
		}
	}
	return false, failing >= Enough
}

// Sight returns what the observer reports of an address.
func (o *Observer) Sight(address netip.Addr) Sight { return Sight{o, o.At(address)} }

// Owns reports whether an address is also that of the observer's own Node.
func (o *Observer) Owns(address netip.Addr) bool { return slices.Contains(o.own, address) }

// Counts reports whether the observer's results on a node that it is not on count.
func (o *Observer) Counts() bool { return o.Present && !o.Stale }

// RoundTime returns the time in which the observer has probed everything and reported it,
// an app of that period included.
func (o *Observer) RoundTime(period time.Duration) time.Duration {
	return max(period, o.pace) + roundSlack
}

// speaking returns the observer, or one that says nothing in place of one that is stale, or
// of none.
func (o *Observer) speaking() *Observer {
	if o == nil || o.Stale {
		return &Observer{Results: &results.Results{}}
	}
	return o
}
