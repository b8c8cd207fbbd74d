package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// place is where in an object a value may stand.
type place struct {
	// path is written as in spec.app.env[].value, and spec.app.nodeSelector{} for the
	// values of a map.
	path string
	// is says what may stand there.
	is *schema.Structural
	// with renders the object's fields around a value, both as JSON: as little as the
	// schema asks for.
	with func(value string) string
}

// places returns all places below spec and status, containers before what is in them.
func places(root *schema.Structural) []place {
	var all []place
	for _, part := range []string{"spec", "status"} {
		is := root.Properties[part]
		all = append(all, below(place{path: part, is: &is, with: func(value string) string {
			return fmt.Sprintf("%q: %s", part, value)
		}})...)
	}
	return all
}

func below(at place) []place {
	all := []place{at}
	for _, name := range slices.Sorted(maps.Keys(at.is.Properties)) {
		field := at.is.Properties[name]
		all = append(all, below(place{path: at.path + "." + name, is: &field, with: func(value string) string {
			return at.with(render(at.is, name, value))
		}})...)
	}
	if items := at.is.Items; items != nil {
		all = append(all, below(place{path: at.path + "[]", is: items, with: func(value string) string {
			return at.with("[" + value + "]")
		}})...)
	}
	if values := at.is.AdditionalProperties; values != nil && values.Structural != nil {
		all = append(all, below(place{path: at.path + "{}", is: values.Structural, with: func(value string) string {
			return at.with(`{"a": ` + value + `}`)
		}})...)
	}
	return all
}

// render renders an object with one field of a value, and what else it has to have.
func render(is *schema.Structural, name, value string) string {
	fields := []string{fmt.Sprintf("%q: %s", name, value)}
	if is.ValueValidation != nil {
		for _, other := range is.ValueValidation.Required {
			field := is.Properties[other]
			switch {
			case other == name:
			case name == "values" && other == "operator":
				// The one that the enum names first takes none.
				fields = append(fields, `"operator": "In"`)
			default:
				fields = append(fields, fmt.Sprintf("%q: %s", other, harmless(&field)))
			}
		}
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// harmless returns a value that may stand where a schema is, as JSON.
func harmless(is *schema.Structural) string {
	rules := is.ValueValidation
	if rules == nil {
		rules = &schema.ValueValidation{}
	}
	switch {
	case len(rules.Enum) > 0:
		return quoted(rules.Enum[0].Object)
	case is.Type == "object":
		return render(is, "", "null")
	case is.Type == "array":
		return "[]"
	case is.Type == "boolean":
		return "false"
	case is.Type == "integer" || is.XIntOrString:
		return "1"
	}
	for _, text := range []string{"2026-01-01T00:00:00.000000Z", "a", "1", "/"} {
		if rules.Format != "" && rules.Format != "date-time" {
			panic("no example of the format " + rules.Format)
		}
		if rules.Pattern == "" || regexp.MustCompile(rules.Pattern).MatchString(text) {
			return quoted(text)
		}
	}
	panic("no example of the pattern " + rules.Pattern)
}

func quoted(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
