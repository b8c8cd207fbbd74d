// Package trouble tells in a few words why an app has too few ready pods: what the
// scheduler, the kubelet or admission has against them, and the field of the
// ExposedApp by which it is mended where that is known.
//
// It is pure: what Kubernetes says comes in, a text goes out. The words are others',
// so they are made one line of printable text, of a bounded length.
package trouble

import (
	"strings"
	"unicode"

	"github.com/exposedapp/exposedapp/internal/truncate"
)

// What is quoted of somebody else has bounds: words of any kind, and what should be one.
const (
	maxWords  = 240
	maxReason = 64
)

// Trouble is what is known of why pods are not ready. The zero value is nothing.
type Trouble struct {
	// Text is what is wrong, in one line.
	Text string

	// Tries is whether it was said of one try of several. Words on the next one may
	// have other numbers in them: ports, times, ids.
	Tries bool
}

// After returns the text, or the one from before where this one just tells of
// another try of the same.
func (t Trouble) After(before string) string {
	if t.Tries && withoutNumbers(before) == withoutNumbers(t.Text) {
		return before
	}
	return t.Text
}

// withoutNumbers leaves out all that decimal and hexadecimal numbers are made of.
func withoutNumbers(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.ASCII_Hex_Digit, r) {
			return -1
		}
		return r
	}, text)
}

// Clean makes one line of printable text of somebody else's words, of at most limit
// bytes.
func Clean(words string, limit int) string {
	return truncate.Marked(strings.Join(strings.FieldsFunc(strings.ToValidUTF8(words, " "), unprintable), " "), limit)
}

// unprintable reports whether a rune is a space, or no text at all.
func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
