package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// writes counts what the operator asks of the API server for an app, by the API
// server's own log: first until the app has its children and a status that says
// so, while those who would run it stand still, and in all until it is Reachable,
// with a world that then does its part at once.
func writes(ctx context.Context, b *bench) error {
	s, err := newStage(ctx, b, 3, 1, 0)
	if err != nil {
		return err
	}
	// Its caches are there, so it has no reason to read anything any more.
	begun, err := s.cluster.mark()
	if err != nil {
		return err
	}
	apps := pick(b, 500, 10)
	made, err := s.requestsForChildren(ctx, begun, apps)
	if err != nil {
		return err
	}
	if err := s.awaitReachable(ctx, 1+apps); err != nil {
		return err
	}
	all, err := s.cluster.operatorRequests(begun)
	if err != nil {
		return err
	}
	perApp := func(requests []request, which func(request) bool) float64 {
		return float64(count(requests, which)) / float64(apps)
	}
	isEvent := func(r request) bool { return r.write() && !r.writesObject() }
	b.report("writes_per_app_children", "", perApp(made, request.writesObject))
	b.report("writes_per_app_children_events", "", perApp(made, isEvent))
	b.report("writes_per_app_reachable", "", perApp(all, request.writesObject))
	b.report("writes_per_app_reachable_events", "", perApp(all, isEvent))
	b.report("writes_live_reads", "", float64(count(all, request.readsObject)))
	b.report("writes_conflicts", "", float64(count(all, func(r request) bool { return r.code == http.StatusConflict })))
	for what, times := range tally(all) {
		b.logf("%s: %d", what, times)
	}
	return nil
}

// requestsForChildren creates apps that nobody runs, and returns what the
// operator asked for since begun when it has nothing more to do for them.
func (s *stage) requestsForChildren(ctx context.Context, begun mark, apps int) ([]request, error) {
	resume, err := pause(s.world.process, s.fleet.process)
	defer resume()
	if err != nil {
		return nil, err
	}
	if _, err := serve(ctx, s.cluster, stageNamespace, 1, 1+apps, hasAll); err != nil {
		return nil, err
	}
	if _, err := atRest(ctx, s.operator, time.Minute); err != nil {
		return nil, err
	}
	return s.cluster.operatorRequests(begun)
}

// operatorRequests are those of the operator since a place in the audit log.
func (c *cluster) operatorRequests(since mark) ([]request, error) {
	all, err := c.requests(since)
	var own []request
	for _, r := range all {
		if r.agent == v1alpha1.OperatorName {
			own = append(own, r)
		}
	}
	return own, err
}

// writesObject tells whether a request would change an object that means
// something: an Event only tells of it.
func (r request) writesObject() bool { return r.write() && r.resource != "events" }

// readsObject tells whether a request reads an object. Those of the API server's
// own description have no resource.
func (r request) readsObject() bool {
	return (r.verb == "get" || r.verb == "list") && r.resource != ""
}

// tally counts requests by verb, resource and answer.
func tally(requests []request) map[string]int {
	times := make(map[string]int)
	for _, r := range requests {
		times[fmt.Sprintf("%s %s: %d", r.verb, r.resource, r.code)]++
	}
	return times
}

func count(requests []request, which func(request) bool) int {
	n := 0
	for _, r := range requests {
		if which(r) {
			n++
		}
	}
	return n
}
