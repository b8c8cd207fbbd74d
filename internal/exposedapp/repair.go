package exposedapp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// An apply sets the fields that are declared, and takes away those that the operator
// applied before. It cannot undo what others made of the rest: where they changed the key
// of an item, such as the number of a port, there are two items in place of one; where
// they took the other way of a one-of, such as the value of a variable in place of its
// source, there are both. The API server refuses the result, and names fields that are
// as declared. So what stands in the way is first made the operator's own, which changes
// nothing but who owns it, and then goes with the apply that brings back the declared:
// one request, in which a Service does not let go of its node port. What others have
// added elsewhere stays.

// rendered is an apply configuration of a child.
type rendered[W any] interface {
	runtime.ApplyConfiguration
	WithUID(types.UID) W
	WithResourceVersion(string) W
}

// child is how a Deployment or a Service of an app is brought to what is declared.
type child[W rendered[W], L client.Object] struct {
	*Reconciler

	apiVersion string
	key        client.ObjectKey
	// blank is a child to read into.
	blank func() L
	// wanted renders what is declared, and an apply fills in the API server's answer. fresh
	// renders it without what only a child that exists can have.
	wanted, fresh func() W
	// inTheWay returns what of a live child cannot be there beside what is declared.
	inTheWay func(live L) *fieldpath.Set
	// bystander tells whether a field that others own can be there in any case.
	bystander func(fieldpath.Path) bool
	// lettingGo is what becomes of the dependents of a child that has to be replaced.
	lettingGo func(live L) metav1.DeletionPropagation
}

// bring makes a child, or brings the one of a UID to what is declared, whatever others
// changed in it.
func (c *child[W, L]) bring(ctx context.Context, uid types.UID) (W, error) {
	answer, err := c.apply(ctx, uid)
	if uid == "" || err != nil && !ofContent(err) || err == nil && c.inTheWay(c.read(answer)).Empty() {
		return answer, err
	}
	live := c.blank()
	if readErr := c.direct.Get(ctx, c.key, live); readErr != nil || live.GetUID() != uid {
		return answer, err
	}
	if way := c.inTheWay(live); !way.Empty() {
		if err := c.takeOver(ctx, live, way); err != nil {
			return answer, err
		}
		answer, err = c.apply(ctx, uid)
	}
	if !namesField(err) {
		return answer, err
	}
	return c.insist(ctx, live, err)
}

// insist brings back a child for which the API server names fields. If it would refuse
// what is declared by itself as well, the child has nothing to do with it.
func (c *child[W, L]) insist(ctx context.Context, live L, refusal error) (answer W, _ error) {
	switch err := c.try(ctx); {
	case namesField(err):
		return answer, refusal
	case err != nil:
		return answer, driftError{refusal}
	case immutable(refusal):
		return c.replace(ctx, live)
	}
	if err := c.takeOver(ctx, live, addedByOthers(live, c.bystander)); err != nil {
		return answer, err
	}
	answer, err := c.apply(ctx, live.GetUID())
	switch {
	case immutable(err):
		return c.replace(ctx, live)
	case namesField(err):
		return answer, driftError{err}
	}
	return answer, err
}

// apply makes a child, or applies what is declared to the one of a UID.
func (c *child[W, L]) apply(ctx context.Context, uid types.UID) (W, error) {
	wanted := c.wanted()
	if uid == "" {
		wanted.WithResourceVersion(noResourceVersion)
	} else {
		wanted.WithUID(uid)
	}
	return wanted, c.Client.Apply(ctx, wanted, client.ForceOwnership)
}

// try asks the API server what it thinks of a child that is as declared, and new.
func (c *child[W, L]) try(ctx context.Context) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c.fresh())
	if err != nil {
		return fmt.Errorf("render: %w", err)
	}
	trial := &unstructured.Unstructured{Object: content}
	trial.SetGenerateName(trial.GetName() + "-")
	trial.SetName("")
	return c.direct.Create(ctx, trial, client.DryRunAll)
}

// takeOver makes the operator the owner of fields of a child, so that its next apply takes
// away what is not declared of them.
func (c *child[W, L]) takeOver(ctx context.Context, live L, fields *fieldpath.Set) error {
	before, ok := live.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("%T has no copy", live)
	}
	owners, err := ownedBy(live.GetManagedFields(), fields, c.apiVersion)
	if err != nil {
		return fmt.Errorf("read who owns what: %w", err)
	}
	live.SetManagedFields(owners)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return c.direct.Patch(ctx, live, patch)
}

// replace deletes a child that cannot be brought back, and makes another if that is gone.
func (c *child[W, L]) replace(ctx context.Context, live L) (answer W, _ error) {
	policy := c.lettingGo(live)
	preconditions := client.Preconditions{UID: new(live.GetUID()), ResourceVersion: new(live.GetResourceVersion())}
	if err := c.Client.Delete(ctx, live, preconditions, client.PropagationPolicy(policy)); err != nil {
		return answer, fmt.Errorf("replace it: %w", err)
	}
	answer, err := c.apply(ctx, "")
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return answer, errReplaced
	}
	return answer, err
}

// read returns the child that the API server answered with.
func (c *child[W, L]) read(answer W) L {
	live := c.blank()
	convertInto(answer, live)
	return live
}

// ownedBy returns who owns what of an object once the operator owns some fields, and it
// alone.
func ownedBy(
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
		case ownEntry(entry):
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

// addedByOthers returns the fields of an object's spec that others own, but for those of
// bystanders.
func addedByOthers(live client.Object, bystander func(fieldpath.Path) bool) *fieldpath.Set {
	added := fieldpath.NewSet()
	for _, entry := range live.GetManagedFields() {
		owned, err := fieldsOf(entry)
		if err != nil || ownEntry(entry) {
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

// ownFields returns the fields of an object that the operator applied.
func ownFields(live client.Object) *fieldpath.Set {
	entries := live.GetManagedFields()
	if i := slices.IndexFunc(entries, ownEntry); i >= 0 {
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
