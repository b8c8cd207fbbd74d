// Package truncate bounds texts.
package truncate

import "unicode/utf8"

// Text returns the longest beginning of a text that has no more than limit bytes and
// ends with a whole character.
func Text(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := max(limit, 0)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// Marked shortens a text to at most limit bytes, with a mark where something is left out.
func Marked(text string, limit int) string {
	const mark = "…"
	if len(text) <= limit {
		return text
	}
	return Text(text, limit-len(mark)) + mark
}
