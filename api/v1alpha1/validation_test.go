package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/exposedapp/exposedapp/test/gen"
)

// rule is what a field may be and what not, each as YAML.
type rule struct {
	good, bad []string
	// message is what a refusal says beyond the field's name.
	message string
}

func TestSpecRules(t *testing.T) {
	path := func(text string) string { return "/" + text }
	rules := map[string]rule{
		"spec.nodePort":                      {good: list("1", "65535"), bad: list("0", "65536", "http")},
		"spec.suspend":                       {good: list("true"), bad: list(`"yes"`)},
		"spec.app.image":                     length(512, same).and(rule{bad: list(`""`)}),
		"spec.app.imagePullPolicy":           {good: list("Always", "IfNotPresent", "Never"), bad: list("Sometimes", `""`)},
		"spec.app.imagePullSecrets":          items(8, "{name: s%d}"),
		"spec.app.imagePullSecrets[1]":       {bad: list("[{name: s}, {name: s}]"), message: "Duplicate value"},
		"spec.app.replicas":                  {good: list("0", "10000"), bad: list("-1", "10001")},
		"spec.app.containerPort":             {good: list("1", "65535"), bad: list("0", "65536")},
		"spec.app.livenessPath":              length(1023, path).and(rule{good: list(`""`, `"/a?b"`), bad: list("a")}),
		"spec.app.readinessPath":             length(1023, path).and(rule{good: list(`""`, `"/a?b"`), bad: list("a")}),
		"spec.app.args":                      items(128, "a%d"),
		"spec.app.env":                       items(128, "{name: E%d}"),
		"spec.app.env[1]":                    {bad: list("[{name: E}, {name: E}]"), message: "Duplicate value"},
		"spec.app.nodeSelector":              {good: list(labels(32)), bad: list(labels(33))},
		"spec.app.tolerations":               items(32, "{key: t%d}"),
		"spec.service.port":                  {good: list("1", "65535"), bad: list("0", "65536")},
		"spec.service.externalTrafficPolicy": {good: list("Cluster", "Local"), bad: list("Global", `""`)},
		"spec.service.ipFamilyPolicy": {
			good: list("SingleStack", "PreferDualStack", "RequireDualStack"), bad: list("Dual", `""`),
		},
		"spec.probe.path": length(1023, path).and(rule{
			good: list(`"/a?b=%20~!"`), bad: list(`""`, "a", "/a b", "/ä"),
		}),
		"spec.probe.periodSeconds":    {good: list("2", "300"), bad: list("0", "301")},
		"spec.probe.timeoutSeconds":   {good: list("1", "5"), bad: list("0", "61")},
		"spec.probe.failureThreshold": {good: list("1", "10"), bad: list("0", "11")},
		"spec.minReachable": {
			good:    list("0", "2", "5000", `"0%"`, `"50%"`, `"99%"`, `"100%"`),
			bad:     list("-1", `"101%"`, `"x"`, `"50"`, `"-1%"`, `"1.5%"`, `"050%"`, `"100%x"`, `""`),
			message: "spec.minReachable must be a number of nodes, from 0 to 2147483647, or a percentage from 0% to 100%",
		},
	}
	for field, rule := range rules {
		path, _, _ := strings.Cut(field, "[")
		rule.check(t, field, func(t *testing.T, value string) error {
			return create(t, "{apiVersion: exposedapp.dev/v1alpha1, kind: ExposedApp, "+
				"metadata: {name: web, namespace: default}, "+nest(path, value)+"}")
		})
	}
}

func TestRuleOfTimeoutAndPeriod(t *testing.T) {
	const message = "spec.probe.timeoutSeconds, 2 unless set, must not exceed spec.probe.periodSeconds"
	rule{
		good: list("{timeoutSeconds: 1, periodSeconds: 1}", "{timeoutSeconds: 60, periodSeconds: 60}", "{timeoutSeconds: 5}"),
		bad:  list("{timeoutSeconds: 3, periodSeconds: 2}", "{timeoutSeconds: 6}", "{periodSeconds: 1}"), message: message,
	}.check(t, "spec.probe", func(t *testing.T, value string) error {
		return create(t, "{apiVersion: exposedapp.dev/v1alpha1, kind: ExposedApp, "+
			"metadata: {name: web, namespace: default}, "+nest("spec.probe", value)+"}")
	})
}

func TestRuleOfTheName(t *testing.T) {
	rule{
		good:    list("w", "web-2", strings.Repeat("a", 63)),
		bad:     list("1web", "web.shop", strings.Repeat("a", 64)),
		message: "metadata.name must be a DNS-1035 label",
	}.check(t, "metadata.name", func(t *testing.T, value string) error {
		return create(t, "{apiVersion: exposedapp.dev/v1alpha1, kind: ExposedApp, "+
			"metadata: {name: "+value+", namespace: default}}")
	})
}

func TestStatusRules(t *testing.T) {
	app := gen.ExposedApp("status-rules")
	store(t, app)

	// A key that comes twice has its last value.
	const verdict, condition = "node: a%d, family: IPv4, expected: true, state: Reachable",
		"type: C%d, status: Unknown, reason: R, message: m, lastTransitionTime: '2026-01-01T00:00:00Z'"
	with := func(field string) func(string) string {
		return func(value string) string { return fmt.Sprintf("[{"+verdict+", %s: %s}]", 1, field, value) }
	}
	rules := map[string]rule{
		"status.nodes":           items(24, "{"+verdict+"}"),
		"status.nodes[0].node":   length(253, with("node")),
		"status.nodes[0].family": {good: list(with("family")("IPv6")), bad: list(with("family")("IPX"))},
		"status.nodes[0].state": {
			good: list(with("state")("Unreachable"), with("state")("Unknown")), bad: list(with("state")("Maybe")),
		},
		"status.nodes[0].address":   length(45, with("address")),
		"status.nodes[0].reason":    length(64, with("reason")),
		"status.nodes[0].message":   length(256, with("message")),
		"status.nodes[0].observers": length(16, with("observers")),
		"status.conditions":         items(8, "{"+condition+"}"),
		"status.conditions[1]": {
			bad: list(fmt.Sprintf("[{"+condition+"}, {"+condition+", status: 'True'}]", 1, 1)), message: "Duplicate value",
		},
		"status.conditions[0].status": {bad: list(fmt.Sprintf("[{"+condition+", status: Maybe}]", 1))},
	}
	for field, rule := range rules {
		path, _, _ := strings.Cut(field, "[")
		rule.check(t, field, func(t *testing.T, value string) error { return patchStatus(t, app, nest(path, value)) })
	}
}

// check has each value judged: the good ones must be taken, and the bad ones
// refused with the name of the field.
func (r rule) check(t *testing.T, field string, judge func(t *testing.T, value string) error) {
	t.Helper()
	t.Run(field, func(t *testing.T) {
		g := NewWithT(t)
		for _, value := range r.good {
			g.Expect(judge(t, value)).To(Succeed(), value)
		}
		for _, value := range r.bad {
			g.Expect(judge(t, value)).To(MatchError(SatisfyAll(ContainSubstring(field), ContainSubstring(r.message))), value)
		}
	})
}

// and adds what another rule has.
func (r rule) and(more rule) rule {
	r.good, r.bad = append(r.good, more.good...), append(r.bad, more.bad...)
	return r
}

// patchStatus has the API server judge a status, and stores nothing.
func patchStatus(t *testing.T, object client.Object, status string) error {
	t.Helper()
	patch, err := yaml.YAMLToJSON([]byte("{" + status + "}"))
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), status)
	target := object.DeepCopyObject().(client.Object)
	return k8s.Status().Patch(t.Context(), target, client.RawPatch(types.MergePatchType, patch), client.DryRunAll)
}

// nest renders a value at a path, such as spec.app.image, in YAML.
func nest(path, value string) string {
	first, rest, nested := strings.Cut(path, ".")
	if nested {
		value = "{" + nest(rest, value) + "}"
	}
	return first + ": " + value
}

func list(values ...string) []string { return values }

func same(text string) string { return text }

// length is the rule of a text of at most some letters.
func length(most int, render func(text string) string) rule {
	letters := func(n int) string { return strings.Repeat("a", n) }
	return rule{good: list(render(letters(most))), bad: list(render(letters(most + 1)))}
}

// items is the rule of a list of at most some items, whose number fills the
// format.
func items(most int, format string) rule {
	return rule{good: list("[" + numbered(most, format) + "]"), bad: list("[" + numbered(most+1, format) + "]")}
}

func numbered(n int, format string) string {
	all := make([]string, 0, n)
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return strings.Join(all, ", ")
}

func labels(n int) string { return "{" + numbered(n, "l%d: x") + "}" }
