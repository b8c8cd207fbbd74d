package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/exposedapp/exposedapp/test/gen"
)

func TestNodeReachabilitySpecRules(t *testing.T) {
	node := func(name string) string { return "[{node: " + name + "}]" }
	addresses := func(text string) string { return "[{node: a, addresses: [" + text + "]}]" }
	rules := map[string]rule{
		"spec.heartbeatSeconds":        {good: list("1", "300"), bad: list("0", "301")},
		"spec.clusterSize":             {good: list("1", "5000"), bad: list("0", "-1")},
		"spec.targets":                 items(64, "{node: a%d}"),
		"spec.targets[0].node":         length(253, node).and(rule{bad: list("[{}]")}),
		"spec.targets[0].addresses":    {good: list(addresses("b, c")), bad: list(addresses("b, c, d"))},
		"spec.targets[0].addresses[0]": length(45, addresses),
	}
	for field, rule := range rules {
		path, _, _ := strings.Cut(field, "[")
		rule.check(t, field, func(t *testing.T, value string) error {
			return create(t, "{apiVersion: exposedapp.dev/v1alpha1, kind: NodeReachability, "+
				"metadata: {name: a}, "+nest(path, value)+"}")
		})
	}
}

func TestReportRules(t *testing.T) {
	report := gen.NodeReachability("report-rules")
	store(t, report)
	// A key that comes twice has its last value.
	const failure, pending = "reason: Timeout, nodePorts: '1', addresses: [b]", "nodePorts: '1', addresses: [b]"
	with := func(entry, field string) func(string) string {
		return func(value string) string { return "[{" + entry + ", " + field + ": " + value + "}]" }
	}
	one := func(text string) string { return "[" + text + "]" }
	many := func(entry string) rule {
		of := func(n int) string { return with(entry, "addresses")(one(numbered(n, "a%d"))) }
		return rule{good: list(of(128)), bad: list(of(129))}
	}
	rules := map[string]rule{
		"status.renewTime":               {good: list(`"2026-01-01T00:00:00.000000Z"`), bad: list("noon")},
		"status.servicesResourceVersion": length(64, same),
		"status.nodePorts":               length(8000, same),
		"status.addresses":               items(128, "a%d"),
		"status.addresses[0]":            length(45, one),
		"status.failures":                items(128, "{"+failure+", message: m%d}"),
		"status.failures[0].reason":      length(64, with(failure, "reason")),
		"status.failures[0].message":     length(160, with(failure, "message")),
		"status.failures[0].nodePorts":   length(8000, with(failure, "nodePorts")),
		"status.failures[0].addresses":   many(failure),
		"status.failures[0].addresses[0]": length(45, func(text string) string {
			return with(failure, "addresses")(one(text))
		}),
		"status.pending":              items(128, "{"+pending+", nodePorts: '%d'}"),
		"status.pending[0].nodePorts": length(8000, with(pending, "nodePorts")),
		"status.pending[0].addresses": many(pending),
		"status.pending[0].addresses[0]": length(45, func(text string) string {
			return with(pending, "addresses")(one(text))
		}),
	}
	for field, rule := range rules {
		path, _, _ := strings.Cut(field, "[")
		rule.check(t, field, func(t *testing.T, value string) error { return patchStatus(t, report, nest(path, value)) })
	}
}
