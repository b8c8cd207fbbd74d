package schema

import (
	"testing"

	. "github.com/onsi/gomega"
)

// What is written has an end, or one object would take the memory that all need.
func TestEverythingIsBounded(t *testing.T) {
	for _, kind := range kinds {
		for _, where := range places(load(t, kind).structural) {
			bounded := false
			rules := where.is.ValueValidation
			switch where.is.Type {
			case "string":
				bounded = rules != nil && (rules.MaxLength != nil || len(rules.Enum) > 0 || rules.Format == "date-time")
			case "array":
				bounded = rules != nil && rules.MaxItems != nil
			case "object":
				bounded = where.is.AdditionalProperties == nil || rules != nil && rules.MaxProperties != nil
			default:
				bounded = true
			}
			NewWithT(t).Expect(bounded).To(BeTrue(), "%s: %s", kind, where.path)
		}
	}
}
