package truncate_test

import (
	"testing"
	"unicode/utf8"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/truncate"
)

func TestText(t *testing.T) {
	g := NewWithT(t)
	for limit, want := range []string{"", "a", "a", "aé", "aé", "aé", "aé€", "aé€"} {
		g.Expect(truncate.Text("aé€", limit)).To(Equal(want), "%d bytes", limit)
	}
	g.Expect(truncate.Text("a", -1)).To(BeEmpty())
}

func TestMarked(t *testing.T) {
	tests := map[string]struct {
		text  string
		limit int
		want  string
	}{
		"short":              {"abc", 4, "abc"},
		"as long as allowed": {"abcd", 4, "abcd"},
		"too long":           {"abcdefgh", 7, "abcd…"},
		"a rune at the edge": {"abcä5678", 7, "abc…"},
		"a rune before it":   {"abä56789", 7, "abä…"},
		"a wide rune":        {"a😀bcdefg", 7, "a…"},
		"all wide":           {"😀😀😀", 7, "😀…"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := truncate.Marked(test.text, test.limit)
			g.Expect(got).To(Equal(test.want))
			g.Expect(len(got)).To(BeNumerically("<=", test.limit))
			g.Expect(utf8.ValidString(got)).To(BeTrue())
		})
	}
}
