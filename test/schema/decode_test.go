package schema

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"pgregory.net/rapid"
)

var kinds = []string{"exposedapps", "nodereachabilities"}

// Each place is tried by itself: Go decodes a field whatever stands beside it.
func TestWhatTheSchemaAdmitsGoDecodes(t *testing.T) {
	for _, kind := range kinds {
		crd := load(t, kind)
		for _, where := range places(crd.structural) {
			tried, admitted := values(where), 0
			t.Run(kind+"/"+where.path, rapid.MakeCheck(func(t *rapid.T) {
				value := tried.Draw(t, "value")
				taken, err := crd.misread(crd.object(where, value))
				if taken {
					admitted++
				}
				if err != nil {
					t.Fatalf("%s: %s is admitted, and Go cannot read it: %v", where.path, value, err)
				}
			}))
			NewWithT(t).Expect(admitted).To(BeNumerically(">", 0), "nothing is admitted at "+where.path)
		}
	}
}

// With the schemas that controller-gen writes by itself, and a minReachable without an
// end, the same values do find what Go cannot decode.
func TestOdditiesFindWhatGoCannotDecode(t *testing.T) {
	g := NewWithT(t)
	found := make(map[string]bool)
	for _, kind := range kinds {
		crd := load(t, kind, loosen)
		for _, where := range places(crd.structural) {
			for _, value := range oddities {
				if _, err := crd.misread(crd.object(where, value)); err != nil {
					found[where.path] = true
				}
			}
		}
	}
	g.Expect(slices.Sorted(maps.Keys(found))).To(Equal([]string{
		"spec.app.env[].valueFrom.resourceFieldRef.divisor",
		"spec.app.resources.limits{}",
		"spec.app.resources.requests{}",
		"spec.minReachable",
		"status.conditions[].lastTransitionTime",
		"status.nodes[].lastTransitionTime",
		"status.probes.startTime",
		"status.renewTime",
	}))
}

// loosen takes the bounds off that this project puts on numbers, quantities and times.
func loosen(schema *apiextensionsv1.JSONSchemaProps) {
	if schema.Format == "date-time" {
		schema.Pattern = ""
	}
	if schema.XIntOrString && schema.Pattern != "" {
		schema.Pattern = `^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`
	}
	if schema.XIntOrString || schema.Format == "date-time" {
		schema.XValidations = nil
	}
	for name, field := range schema.Properties {
		loosen(&field)
		schema.Properties[name] = field
	}
	if schema.Items != nil {
		loosen(schema.Items.Schema)
	}
	if schema.AdditionalProperties != nil {
		loosen(schema.AdditionalProperties.Schema)
	}
}

// oddities are values that schemas admit and decoders do not, or that the two may take
// for something else.
var oddities = []string{
	`null`, `true`, `false`, `{}`, `[]`, `[null]`, `{"a": null}`, `{"a": "a"}`,
	`0`, `-0`, `-1`, `1.0`, `1e0`, `1e3`, `0.5`, `1e-7`, `2147483647`, `2147483648`, `-2147483648`, `-2147483649`, `3000000000`,
	`4294967296`, `9007199254740991`, `9007199254740993`, `9.007199254740991e15`,
	`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`,
	`18446744073709551616`, `1e18`, `1e19`, `1e21`, `1e30`, `1e308`,
	`""`, `" "`, `"a"`, `"/"`, `"0"`, `"1"`, `"-1"`, `"true"`, `"null"`, `"100%"`, `"101%"`, `"3000000000"`, `"\u0000"`,
	`"\ufffd"`, `"\ud800"`, `"\u2028"`,
	// Quantities.
	`"1."`, `".5"`, `"."`, `"+"`, `"1e1.5"`, `"1e.5"`, `"1e1."`, `"1E1"`,
	`"1Ki"`, `"1ki"`, `"1Kim"`, `"1i"`, `"100m"`, `"1n"`, `"1 "`, `"0x1"`, `"1_000"`, `"Inf"`, `"NaN"`,
	`"99999999999999999999999999999999999999E"`, `"0.00000000000000000000000000001n"`,
	// Times.
	`"2026-01-01T00:00:00Z"`, `"2026-01-01T00:00:00.0Z"`, `"2026-01-01T00:00:00.000000Z"`,
	`"2026-01-01T00:00:00.000000000Z"`, `"2026-01-01T00:00:00.0000000000001Z"`, `"2026-01-01T00:00:00,5Z"`,
	`"2026-01-01T00:00:00x5Z"`, `"2026-01-01t00:00:00Z"`, `"2026-01-01T00:00:00z"`, `"2026-01-01t00:00:00.000000z"`,
	`"2026-01-01T00:00:00+00:00"`, `"2026-01-01T00:00:00.000000+99:99"`, `"2026-01-01T00:00:00-23:59"`, `"2026-01-01T00:00:00ZTx"`,
	`"2026-01-01T00:00:00.000000ZT"`, `"2026-02-29T00:00:00Z"`, `"2026-02-30T00:00:00.000000Z"`, `"2026-01-01T23:59:60Z"`,
	`"2026-01-01T24:00:00Z"`, `"0000-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999Z"`, `"10000-01-01T00:00:00Z"`,
	`"2026-01-01"`, `"2026-01-01 00:00:00Z"`, `"20260101T000000Z"`, `"1767225600"`,
}

// values generates what may be written in a place, as JSON: oddities, and what its
// schema asks for.
func values(where place) *rapid.Generator[string] {
	fitting := []*rapid.Generator[string]{
		rapid.SampledFrom(oddities), rapid.SampledFrom(oddities), rapid.Just(harmless(where.is)),
	}
	if where.is.Items != nil {
		fitting = append(fitting, rapid.Just("["+harmless(where.is.Items)+"]"))
	}
	if where.is.Type == "integer" || where.is.XIntOrString {
		fitting = append(fitting, rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) }),
			rapid.Map(rapid.Float64(), func(f float64) string { return quoted(f) }))
	}
	texts := func(pattern string) *rapid.Generator[string] {
		return rapid.Map(rapid.StringMatching(pattern), func(text string) string { return quoted(text) })
	}
	if where.is.Type == "string" || where.is.XIntOrString {
		fitting = append(fitting, texts(`[+-]?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?[0-9.]{1,3}|[KMGTPE]i|[numkMGTPE])?`),
			texts(`[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-5][0-9]:[0-5][0-9](.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})`))
		if rules := where.is.ValueValidation; rules != nil {
			if rules.Pattern != "" {
				fitting = append(fitting, texts(rules.Pattern))
			}
			for _, value := range rules.Enum {
				fitting = append(fitting, rapid.Just(quoted(value.Object)))
			}
		}
	}
	return rapid.OneOf(fitting...)
}
