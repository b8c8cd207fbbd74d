package listwatch

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// Culprit returns the path of the field for which a value cannot be decoded, such as
// app.env[3].value, and the error of that field alone. decode is the decoder of the
// whole value; its error has to be that of one field at most times, but names none.
func Culprit(value json.RawMessage, decode func(json.RawMessage) error) (path string, err error) {
	if err = decode(value); err == nil {
		return "", nil
	}
	for part, field := range parts(value) {
		inner := func(value json.RawMessage) error { return decode(field.alone(value)) }
		if rest, found := Culprit(field.value, inner); found != nil {
			return part + rest, found
		}
	}
	return "", err
}

// part is a field of an object, or an item of an array.
type part struct {
	value json.RawMessage
	// alone returns an object or array with nothing else in it.
	alone func(json.RawMessage) json.RawMessage
}

// parts returns what an object or array is made of, by the path to it.
func parts(value json.RawMessage) func(yield func(string, part) bool) {
	return func(yield func(string, part) bool) {
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) == nil {
			for _, name := range slices.Sorted(maps.Keys(object)) {
				alone := func(value json.RawMessage) json.RawMessage { return encoded(map[string]json.RawMessage{name: value}) }
				if !yield("."+name, part{object[name], alone}) {
					return
				}
			}
			return
		}
		var items []json.RawMessage
		if json.Unmarshal(value, &items) != nil {
			return
		}
		alone := func(value json.RawMessage) json.RawMessage { return encoded([]json.RawMessage{value}) }
		for i := range items {
			if !yield("["+strconv.Itoa(i)+"]", part{items[i], alone}) {
				return
			}
		}
	}
}

// encoded is JSON of what was JSON before.
func encoded(value any) json.RawMessage {
	text, _ := json.Marshal(value)
	return text
}
