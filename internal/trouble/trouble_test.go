package trouble

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestClean(t *testing.T) {
	for name, test := range map[string]struct {
		words, want string
		limit       int
	}{
		"nothing":            {"", "", 10},
		"as it is":           {"exec: not found", "exec: not found", 20},
		"several lines":      {"one\r\n\n\ttwo\n", "one two", 20},
		"a terminal's codes": {"a\x1b[31mred\x00", "a [31mred", 20},
		"text that turns":    {"abc\u202edef\u200b", "abc def", 20},
		"no text at all":     {"\xff\xfe", "", 20},
		"broken in between":  {"a\xffb", "a b", 20},
		"just fits":          {"12345", "12345", 5},
		"too long":           {"1234567890", "12…", 5},
		"at a rune's edge":   {"1ééééé", "1…", 5},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(Clean(test.words, test.limit)).To(Equal(test.want))
		})
	}
}

func TestOfRefusal(t *testing.T) {
	for name, test := range map[string]struct{ words, want string }{
		"a quota": {
			`pods "web-6d5f8c7b9-x2x7k" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2`,
			"pods are forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2",
		},
		"a quota of what pods ask for": {
			`pods "web-6d5f8c7b9-x2x7k" is forbidden: failed quota: compute: must specify limits.cpu for: app`,
			"pods are forbidden: failed quota: compute: must specify limits.cpu for: app: set spec.app.resources",
		},
		"a limit range": {
			`pods "web-6d5f8c7b9-x2x7k" is forbidden: minimum cpu usage per Container is 100m. No request is specified`,
			"pods are forbidden: minimum cpu usage per Container is 100m. No request is specified: set spec.app.resources",
		},
		"a webhook": {
			`admission webhook "policy.example.com" denied the request: no`,
			`admission webhook "policy.example.com" denied the request: no`,
		},
		"no service account": {
			`pods "web-6d5f8c7b9-" is forbidden: error looking up service account shop/default: serviceaccount "default" not found`,
			`pods are forbidden: error looking up service account shop/default: serviceaccount "default" not found`,
		},
		"the level restricted": {
			`pods "web-6d5f8c7b9-x2x7k" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true ` +
				`(pod or container "app" must set securityContext.runAsNonRoot=true)`,
			`pods are forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true ` +
				`(pod or container "app" must set securityContext.runAsNonRoot=true): ` +
				`set spec.app.securityContext.runAsNonRoot: true, and runAsUser (a number) where the image names its user by name`,
		},
		"the level baseline, in two ways": {
			`pods "web-6d5f8c7b9-x2x7k" is forbidden: violates PodSecurity "baseline:latest": non-default capabilities ` +
				`(container "app" must not include "NET_ADMIN" in securityContext.capabilities.add), privileged ` +
				`(container "app" must not set securityContext.privileged=true)`,
			`pods are forbidden: violates PodSecurity "baseline:latest": non-default capabilities ` +
				`(container "app" must not include "NET_ADMIN" in securityContext.capabilities.add), privileged ` +
				`(container "app" must not set securityContext.privileged=…: ` +
				`set spec.app.securityContext.privileged: false, spec.app.securityContext.capabilities.add to none of these`,
		},
		"long, and in several lines": {strings.Repeat("no\n", 200), strings.Repeat("no ", 79) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(OfRefusal(test.words).Text).To(Equal(test.want))
		})
	}
}

// What differs in nothing but numbers is another try of the same, and no news.
func TestAfter(t *testing.T) {
	const before = "read udp 10.1.0.7:41234->10.96.0.10:53: i/o timeout"
	for name, test := range map[string]struct {
		now  Trouble
		want string
	}{
		"the next try":         {Trouble{Text: "read udp 10.1.0.7:5555->10.96.0.10:53: i/o timeout", Tries: true}, before},
		"other words":          {Trouble{Text: "no such host", Tries: true}, "no such host"},
		"numbers that matter":  {Trouble{Text: "read udp 10.1.0.7:5->10.96.0.10:53: i/o timeout"}, "read udp 10.1.0.7:5->10.96.0.10:53: i/o timeout"},
		"nothing any more":     {Trouble{}, ""},
		"nothing, at each try": {Trouble{Tries: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(test.now.After(before)).To(Equal(test.want))
		})
	}
}
