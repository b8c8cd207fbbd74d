package ssa

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// TakeOver returns who owns what of an object once the operator owns some fields, and it
// alone.
func TakeOver(
	owners []metav1.ManagedFieldsEntry, fields *fieldpath.Set, apiVersion string,
) ([]metav1.ManagedFieldsEntry, error) {
	now := metav1.NewTime(time.Now())
	own := metav1.ManagedFieldsEntry{
		Manager: v1alpha1.OperatorName, Operation: metav1.ManagedFieldsOperationApply,
		APIVersion: apiVersion, FieldsType: "FieldsV1", Time: &now,
	}
	ownFields, kept := fields, []metav1.ManagedFieldsEntry(nil)
	for _, entry := range owners {
		owned, err := fieldsOf(entry)
		switch {
		case err != nil:
			return nil, err
		case OwnEntry(entry):
			own, ownFields = entry, owned.Union(fields)
			continue
		}
		if owned = owned.RecursiveDifference(fields); owned.Empty() {
			continue
		}
		if entry.FieldsV1, err = written(owned); err != nil {
			return nil, err
		}
		kept = append(kept, entry)
	}
	var err error
	own.FieldsV1, err = written(ownFields)
	return append(kept, own), err
}

// AddedByOthers returns the fields of an object's spec that others own, but for those of
// bystanders.
func AddedByOthers(live metav1.Object, bystander func(fieldpath.Path) bool) *fieldpath.Set {
	added := fieldpath.NewSet()
	for _, entry := range live.GetManagedFields() {
		owned, err := fieldsOf(entry)
		if err != nil || OwnEntry(entry) {
			continue
		}
		for path := range owned.All() {
			if path[0].FieldName != nil && *path[0].FieldName == "spec" && len(path) > 1 && !bystander(path) {
				added.Insert(path.Copy())
			}
		}
	}
	return added
}

// OwnFields returns the fields of an object that the operator applied.
func OwnFields(live metav1.Object) *fieldpath.Set {
	entries := live.GetManagedFields()
	if i := slices.IndexFunc(entries, OwnEntry); i >= 0 {
		if owned, err := fieldsOf(entries[i]); err == nil {
			return owned
		}
	}
	return fieldpath.NewSet()
}

func fieldsOf(entry metav1.ManagedFieldsEntry) (*fieldpath.Set, error) {
	fields := &fieldpath.Set{}
	if entry.FieldsV1 == nil {
		return fields, nil
	}
	return fields, fields.FromJSON(strings.NewReader(string(entry.FieldsV1.GetRawBytes())))
}

func written(fields *fieldpath.Set) (*metav1.FieldsV1, error) {
	text, err := fields.ToJSON()
	if err != nil {
		return nil, err
	}
	return metav1.NewFieldsV1(string(text)), nil
}

// FieldSets are sets of fields by how they are written. The operator owns the same fields
// of most objects of a kind, and to read them allocates as much as the rest of a digest.
type FieldSets struct{ known *lru.Cache }

// NewFieldSets returns FieldSets that have read nothing yet.
func NewFieldSets() FieldSets { return FieldSets{lru.New(32)} }

// Read returns a set of fields, which the caller must not change.
func (s FieldSets) Read(written *metav1.FieldsV1) (*fieldpath.Set, error) {
	key := string(written.GetRawBytes())
	if known, found := s.known.Get(key); found {
		if fields, ok := known.(*fieldpath.Set); ok {
			return fields, nil
		}
	}
	fields := &fieldpath.Set{}
	if err := fields.FromJSON(strings.NewReader(key)); err != nil {
		return nil, err
	}
	s.known.Add(key, fields)
	return fields, nil
}

// OwnEntry reports whether fields are those that the operator applied.
func OwnEntry(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == v1alpha1.OperatorName && entry.Operation == metav1.ManagedFieldsOperationApply &&
		entry.Subresource == ""
}
