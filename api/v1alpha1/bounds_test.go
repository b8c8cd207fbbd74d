package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/test/gen"
)

// bound is what may stand in one place of an object.
type bound struct {
	// field is how a refusal names the place, and around what surrounds it, with %s in
	// the place.
	field, around string
	rule
}

// What an ExposedApp takes of Kubernetes' own types is bounded, and readable.
func TestBoundsOfSpec(t *testing.T) {
	const env, ref, labels, expression = "app: {env: [{name: E, value: %s}]}",
		"app: {env: [{name: E, valueFrom: {%s}}]}", "expectedNodes: {matchLabels: {%s}}",
		"expectedNodes: {matchExpressions: [{key: a, %s}]}"
	many := func(n, each int, format string) string {
		return numbered(n, fmt.Sprintf(format, strings.Repeat("a", each)))
	}
	for _, bound := range []bound{
		{"spec.minReachable", "minReachable: %s", rule{
			good: list("2147483647"), bad: list("2147483648", "3000000000"),
			message: "spec.minReachable must be a number of nodes, from 0 to 2147483647",
		}},
		{"spec.app.args[0]", "app: {args: [%s]}", length(4096, same)},
		{"spec.app.args", "app: {args: [%s]}", rule{
			// Each ends in a letter of its own.
			good: list(many(16, 1023, "%s%%x")), bad: list(many(16, 1024, "%s%%x")),
			message: "spec.app.args must have at most 16384 characters in all",
		}},
		{"spec.app.env[0].name", "app: {env: [{name: %s}]}", length(253, same)},
		{"spec.app.env[0].value", env, length(4096, same)},
		{"spec.app.env", "app: {env: [%s]}", rule{
			good: list(many(16, 1022, "{value: %s, name: E%%x}")), bad: list(many(16, 1023, "{value: %s, name: E%%x}")),
			message: "spec.app.env must have at most 16384 characters in names and values in all",
		}},
		{"spec.app.env[0].valueFrom", ref, rule{
			good: list("fieldRef: {fieldPath: a}"), bad: list("fieldRef: {fieldPath: a}, secretKeyRef: {key: a}"),
			message: "must have one source",
		}},
		{"spec.app.env[0].valueFrom.secretKeyRef.key", ref, length(253, func(text string) string {
			return "secretKeyRef: {key: " + text + "}"
		})},
		{"spec.app.env[0].valueFrom.resourceFieldRef.divisor", ref, quantities("resourceFieldRef: {resource: limits.cpu, divisor: %s}")},
		{"spec.app.imagePullSecrets[0].name", "app: {imagePullSecrets: [{name: %s}]}", length(253, same)},
		{"spec.app.nodeSelector", "app: {nodeSelector: {%s: x}}", length(317, same)},
		{"spec.app.nodeSelector.a", "app: {nodeSelector: {a: %s}}", length(63, same)},
		{"spec.app.tolerations[0].key", "app: {tolerations: [{key: %s}]}", length(317, same)},
		{"spec.app.tolerations[0].value", "app: {tolerations: [{value: %s}]}", length(63, same)},
		{"spec.app.resources", "app: {resources: {limits: {%s: 1}}}", length(317, same)},
		{"spec.app.resources", "app: {resources: {requests: {%s: 1}}}", length(317, same)},
		{"spec.app.resources.limits", "app: {resources: {limits: {%s}}}", rule{
			good: list(numbered(32, "r%d: 1")), bad: list(numbered(33, "r%d: 1")),
		}},
		{"spec.app.resources.limits.cpu", "app: {resources: {limits: {cpu: %s}}}", quantities("%s")},
		{"spec.app.resources.requests.cpu", "app: {resources: {requests: {cpu: %s}}}", quantities("%s")},
		{"spec.app.securityContext.capabilities.add", "app: {securityContext: {capabilities: {add: %s}}}", items(64, "C%d")},
		{"spec.expectedNodes.matchLabels", labels, rule{
			good: list(numbered(16, "l%d: x"), "a.b/c: x", strings.Repeat("a", 253)+"/"+strings.Repeat("b", 63)+": x"),
			bad:  list(numbered(17, "l%d: x"), "a b: x", "a/b/c: x", strings.Repeat("a", 64)+": x", strings.Repeat("a", 254)+"/b: x"),
		}},
		{"spec.expectedNodes.matchLabels.a", labels, rule{
			good: list("a: ''", "a: x.y_z-1"), bad: list("a: x y", "a: -x", "a: "+strings.Repeat("x", 64)),
		}},
		{"spec.expectedNodes.matchExpressions", "expectedNodes: {matchExpressions: %s}", items(16, "{key: a%d, operator: Exists}")},
		{"spec.expectedNodes", expression, rule{
			good: list("operator: DoesNotExist", "operator: In, values: [x]", "operator: NotIn, values: ['']"),
			bad:  list("operator: In", "operator: NotIn, values: []", "operator: Exists, values: [x]"),
			message: "spec.expectedNodes.matchExpressions must have values with the operators In and NotIn, " +
				"and none with Exists and DoesNotExist",
		}},
		{"spec.expectedNodes.matchExpressions[0].operator", expression, rule{bad: list("operator: Gt, values: ['1']")}},
		{"spec.expectedNodes.matchExpressions[0].values", expression, rule{
			good: list("operator: In, values: [" + numbered(32, "v%d") + "]"),
			bad:  list("operator: In, values: [" + numbered(33, "v%d") + "]"),
		}},
		{"spec.expectedNodes.matchExpressions[0].key", "expectedNodes: {matchExpressions: [{operator: Exists, key: %s}]}",
			rule{good: list("a.b/c"), bad: list("a b", "a/b/c", strings.Repeat("a", 64))}},
	} {
		bound.check(t, bound.field, func(t *testing.T, value string) error {
			return create(t, "{apiVersion: exposedapp.dev/v1alpha1, kind: ExposedApp, "+
				"metadata: {name: web, namespace: default}, spec: {"+fmt.Sprintf(bound.around, value)+"}}")
		})
	}
}

// quantities is the rule of a quantity that Kubernetes can read.
func quantities(format string) rule {
	each := func(values ...string) (all []string) {
		for _, value := range values {
			all = append(all, fmt.Sprintf(format, value))
		}
		return all
	}
	return rule{
		good: each("1", "'1.5'", "'1.'", "'.5'", "100m", "64Mi", "1Gi", "'1e3'", "'12E-2'", "'0'"),
		bad:  each("'1e1.5'", "'1e100'", "'1ki'", "' 1'", "'1 '", "'1234567890123456'", "'.'", "''", "'1E+'"),
	}
}

// Times are such as Go reads, and nothing in their place but times.
func TestTimesOfStatuses(t *testing.T) {
	app, report := gen.ExposedApp("times"), gen.NodeReachability("times")
	store(t, app)
	store(t, report)
	second := rule{
		good: list("'2026-01-01T00:00:00Z'", "'2026-01-01T00:00:00.5Z'"),
		bad: list("'2026-01-01t00:00:00Z'", "'2026-01-01T00:00:00z'", "'2026-01-01T00:00:00ZTx'", "'2026-02-30T00:00:00Z'",
			"'2026-01-01T00:00:00+01:00'", "noon", "[]", "['2026-01-01T00:00:00Z']", "{}", "1"),
	}
	micro := rule{good: list("'2026-01-01T00:00:00.000000Z'"), bad: append(second.bad, second.good...)}
	condition := "conditions: [{type: C, status: Unknown, reason: R, message: m, lastTransitionTime: %s}]"
	verdict := "nodes: [{node: a, family: IPv4, expected: true, state: Unknown, lastTransitionTime: %s}]"
	for _, bound := range []bound{
		{"status.conditions[0].lastTransitionTime", condition, second},
		{"status.nodes[0].lastTransitionTime", verdict, second},
	} {
		bound.check(t, bound.field, func(t *testing.T, value string) error {
			return patchStatus(t, app, "status: {"+fmt.Sprintf(bound.around, value)+"}")
		})
	}
	for _, bound := range []bound{
		{"status.renewTime", "renewTime: %s", micro},
		{"status.probes.startTime", "probes: {startTime: %s}", second},
	} {
		bound.check(t, bound.field, func(t *testing.T, value string) error {
			return patchStatus(t, report, "status: {"+fmt.Sprintf(bound.around, value)+"}")
		})
	}
}

// However a report is divided, all of it has an end.
func TestReportIsBoundedAsAWhole(t *testing.T) {
	report := gen.NodeReachability("whole")
	store(t, report)
	entries := func(n int) string {
		// 1,000 characters each: 954 of node ports, and one address.
		return strings.Repeat("{reason: Timeout, nodePorts: '"+strings.Repeat("1", 954)+"', addresses: [a]}, ", n)
	}
	g := NewWithT(t)
	g.Expect(patchStatus(t, report, "status: {failures: ["+entries(20)+"], pending: ["+entries(12)+"]}")).To(Succeed())
	g.Expect(patchStatus(t, report, "status: {failures: ["+entries(20)+"], pending: ["+entries(13)+"]}")).To(MatchError(
		ContainSubstring("status.failures and status.pending must have at most 32768 characters")))
}
