// Package ssa finds out by managed fields what the operator applied of an object, and whether
// that is still what it wants. Digests of both are compared, so that an object is not
// applied again while nothing differs, and need not be cached whole.
package ssa

import (
	"encoding/binary"
	"hash"
	"hash/fnv"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// Digest stands for fields and their values: those that the operator owns of an
// object, or those that it wants it to have. Where the two are equal, the object is as
// declared, whatever others have added. 0 stands for what is not known.
type Digest uint64

// OwnedDigest stands for what the operator applied of an object, as it is there now.
// What others write in a field of the operator, they take away from it. Fields named leftOut
// do not count, wherever they are.
func OwnedDigest(live metav1.Object, fields FieldSets, leftOut string) Digest {
	for _, entry := range live.GetManagedFields() {
		if !OwnEntry(entry) || entry.FieldsV1 == nil {
			continue
		}
		owned, err := fields.Read(entry.FieldsV1)
		if err != nil {
			return 0
		}
		content, err := value.NewValueReflect(live)
		if err != nil {
			return 0
		}
		return digestOf(content, owned, leftOut)
	}
	return 0
}

// WantedDigest stands for an apply configuration.
func WantedDigest(wanted any) Digest {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(wanted)
	if err != nil {
		return 0
	}
	// What tells objects apart has no owner.
	delete(content, "apiVersion")
	delete(content, "kind")
	if metadata, ok := content["metadata"].(map[string]any); ok {
		delete(metadata, "name")
		delete(metadata, "namespace")
	}
	return digestOf(value.NewValueInterface(content), nil, "")
}

func digestOf(content value.Value, owned *fieldpath.Set, leftOut string) Digest {
	d := digester{hash: fnv.New64a(), room: value.NewFreelistAllocator(), known: true, leftOut: leftOut}
	d.write(content, owned)
	if !d.known {
		return 0
	}
	return Digest(d.hash.Sum64() | 1)
}

// digester reads a tree of values, of which all or some are owned.
type digester struct {
	hash hash.Hash64
	// room is that of the values which were read.
	room   value.Allocator
	buffer []byte
	// known is whether every owned field was of a form that is known.
	known bool
	// leftOut is the name of a field that is not read, wherever it is.
	leftOut string
}

// write reads what is owned of a value, all of it where owned is nil.
func (d *digester) write(v value.Value, owned *fieldpath.Set) {
	switch {
	case v.IsMap():
		d.text("{")
		fields := v.AsMapUsing(d.room)
		d.writeMap(fields, owned)
		d.room.Free(fields)
		d.text("}")
	case v.IsList():
		d.text("[")
		items := v.AsListUsing(d.room)
		d.writeList(items, owned)
		d.room.Free(items)
		d.text("]")
	case v.IsString():
		d.text("s")
		d.text(v.AsString())
	default:
		text, err := value.ToJSON(v)
		d.known = d.known && err == nil
		d.text(string(text))
	}
}

func (d *digester) writeMap(fields value.Map, owned *fieldpath.Set) {
	for _, name := range d.names(fields, owned) {
		field, found := fields.GetUsing(d.room, name)
		if !found {
			continue
		}
		d.text(name)
		d.write(field, below(owned, fieldpath.PathElement{FieldName: &name}))
		d.room.Free(field)
	}
}

// names returns the names of the fields that are owned, in order.
func (d *digester) names(fields value.Map, owned *fieldpath.Set) (names []string) {
	if owned == nil {
		fields.IterateUsing(d.room, func(name string, _ value.Value) bool {
			names = append(names, name)
			return true
		})
		slices.Sort(names)
		return names
	}
	for element := range elements(owned) {
		switch {
		case element.FieldName == nil:
			d.known = false
		case *element.FieldName != d.leftOut:
			names = append(names, *element.FieldName)
		}
	}
	slices.Sort(names)
	return names
}

// writeList reads the items that are owned, in the order in which they are there.
func (d *digester) writeList(items value.List, owned *fieldpath.Set) {
	for i := range items.Length() {
		item := items.AtUsing(d.room, i)
		if owned == nil {
			d.write(item, nil)
		} else {
			d.writeItem(item, owned)
		}
		d.room.Free(item)
	}
}

// writeItem reads what is owned of an item of a list, by its key or its value.
func (d *digester) writeItem(item value.Value, owned *fieldpath.Set) {
	for element := range elements(owned) {
		switch {
		case element.Key == nil && element.Value == nil:
			d.known = false
		case element.Key != nil && hasKey(item, *element.Key), element.Value != nil && value.Equals(item, *element.Value):
			d.write(item, below(owned, element))
		}
	}
}

// text reads a text that no other can run into.
func (d *digester) text(text string) {
	d.buffer = binary.AppendUvarint(d.buffer[:0], uint64(len(text)))
	d.buffer = append(d.buffer, text...)
	// A hash takes every write.
	_, _ = d.hash.Write(d.buffer)
}

// elements calls yield with what is owned at one level, or somewhere below it.
func elements(owned *fieldpath.Set) func(yield func(fieldpath.PathElement) bool) {
	return func(yield func(fieldpath.PathElement) bool) {
		for element := range owned.Children.All() {
			if !yield(element) {
				return
			}
		}
		for element := range owned.Members.All() {
			if _, also := owned.Children.Get(element); !also && !yield(element) {
				return
			}
		}
	}
}

// below returns what is owned below an element, nil for all of it.
func below(owned *fieldpath.Set, element fieldpath.PathElement) *fieldpath.Set {
	if owned == nil {
		return nil
	}
	children, found := owned.Children.Get(element)
	if !found {
		return nil
	}
	return children
}

func hasKey(item value.Value, key value.FieldList) bool {
	if !item.IsMap() {
		return false
	}
	fields := item.AsMap()
	for _, field := range key {
		if found, ok := fields.Get(field.Name); !ok || !value.Equals(found, field.Value) {
			return false
		}
	}
	return true
}
