// Package compact makes what a decoder made take no more memory than it needs.
package compact

import (
	"reflect"
	"unique"
)

// Intern makes the strings that its arguments point to share their bytes with equal strings
// elsewhere. Thousands of apps have the same labels, images and nodes, and a decoder
// makes a copy of each text.
func Intern(values ...any) {
	for _, value := range values {
		intern(reflect.ValueOf(value).Elem())
	}
}

func intern(value reflect.Value) {
	switch value.Kind() {
	case reflect.String:
		value.SetString(unique.Make(value.String()).Value())
	case reflect.Pointer:
		if !value.IsNil() {
			intern(value.Elem())
		}
	case reflect.Struct:
		for _, field := range value.Fields() {
			if field.CanSet() {
				intern(field)
			}
		}
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range value.Len() {
			intern(value.Index(i))
		}
	case reflect.Map:
		internMap(value)
	}
}

// internMap interns a map of strings by strings. A key that is there stays as it is, so
// the map is replaced.
func internMap(value reflect.Value) {
	texts, ok := reflect.TypeAssert[map[string]string](value)
	if !ok || texts == nil {
		return
	}
	shared := make(map[string]string, len(texts))
	for key, text := range texts {
		shared[unique.Make(key).Value()] = unique.Make(text).Value()
	}
	value.Set(reflect.ValueOf(shared))
}

// Shrink returns a slice without spare capacity.
func Shrink[T any](items []T) []T {
	if len(items) == cap(items) {
		return items
	}
	return append(make([]T, 0, len(items)), items...)
}
