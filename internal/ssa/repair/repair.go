// Package repair brings a child to what is declared by server-side apply, whatever others
// changed in it.
package repair

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/ssa"
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

// noResourceVersion is one that no object can have. An apply that carries it
// creates an object, but conflicts with one that exists: what is not ours is
// never touched, also when the cache has not seen it yet.
const noResourceVersion = "1"

// rendered is an apply configuration of a child.
type rendered[W any] interface {
	runtime.ApplyConfiguration
	WithUID(types.UID) W
	WithResourceVersion(string) W
}

// Child is how a Deployment or a Service of an app is brought to what is declared.
type Child[W rendered[W], L client.Object] struct {
	// Client owns its fields, and its cache shows what it writes. Direct reads from the API
	// server, and does what the cache need not show.
	Client, Direct client.Client

	APIVersion string
	Key        client.ObjectKey
	// Blank is a child to read into.
	Blank func() L
	// Wanted renders what is declared, and an apply fills in the API server's answer. Fresh
	// renders it without what only a child that exists can have.
	Wanted, Fresh func() W
	// Conflicts returns what of a live child cannot be there beside what is declared.
	Conflicts func(live L) *fieldpath.Set
	// Tolerated reports whether a field that others own can be there in any case.
	Tolerated func(fieldpath.Path) bool
	// Propagation is what becomes of the dependents of a child that has to be replaced.
	Propagation func(live L) metav1.DeletionPropagation
}

// Bring makes a child, or brings the one of a UID to what is declared, whatever others
// changed in it. The API server's answer may be nil where there is an error.
func (c *Child[W, L]) Bring(ctx context.Context, uid types.UID) (W, error) {
	answer, err := c.apply(ctx, uid)
	if uid == "" || err != nil && !applyerror.RefusesContent(err) {
		return answer, err
	}
	if err == nil {
		if live, readErr := c.read(answer); readErr != nil || c.Conflicts(live).Empty() {
			return answer, readErr
		}
	}
	live := c.Blank()
	if readErr := c.Direct.Get(ctx, c.Key, live); readErr != nil || live.GetUID() != uid {
		return answer, err
	}
	if way := c.Conflicts(live); !way.Empty() {
		if err := c.takeOver(ctx, live, way); err != nil {
			return answer, err
		}
		answer, err = c.apply(ctx, uid)
	}
	if !applyerror.NamesField(err) {
		return answer, err
	}
	return c.insist(ctx, live, err)
}

// insist brings back a child for which the API server names fields. If it would refuse
// what is declared by itself as well, the child has nothing to do with it.
func (c *Child[W, L]) insist(ctx context.Context, live L, refusal error) (answer W, _ error) {
	switch err := c.try(ctx); {
	case applyerror.NamesField(err):
		return answer, refusal
	case err != nil:
		return answer, applyerror.Drifted(refusal)
	case applyerror.Immutable(refusal):
		return c.replace(ctx, live)
	}
	if err := c.takeOver(ctx, live, ssa.AddedByOthers(live, c.Tolerated)); err != nil {
		return answer, err
	}
	answer, err := c.apply(ctx, live.GetUID())
	switch {
	case applyerror.Immutable(err):
		return c.replace(ctx, live)
	case applyerror.NamesField(err):
		return answer, applyerror.Drifted(err)
	}
	return answer, err
}

// apply makes a child, or applies what is declared to the one of a UID.
func (c *Child[W, L]) apply(ctx context.Context, uid types.UID) (W, error) {
	wanted := c.Wanted()
	if uid == "" {
		wanted.WithResourceVersion(noResourceVersion)
	} else {
		wanted.WithUID(uid)
	}
	return wanted, c.Client.Apply(ctx, wanted, client.ForceOwnership)
}

// try asks the API server what it thinks of a child that is as declared, and new.
func (c *Child[W, L]) try(ctx context.Context) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c.Fresh())
	if err != nil {
		return fmt.Errorf("render: %w", err)
	}
	trial := &unstructured.Unstructured{Object: content}
	trial.SetGenerateName(trial.GetName() + "-")
	trial.SetName("")
	return c.Direct.Create(ctx, trial, client.DryRunAll)
}

// takeOver makes the operator the owner of fields of a child, so that its next apply takes
// away what is not declared of them.
func (c *Child[W, L]) takeOver(ctx context.Context, live L, fields *fieldpath.Set) error {
	before, ok := live.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("%T has no copy", live)
	}
	owners, err := ssa.TakeOver(live.GetManagedFields(), fields, c.APIVersion)
	if err != nil {
		return fmt.Errorf("read who owns what: %w", err)
	}
	live.SetManagedFields(owners)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return c.Direct.Patch(ctx, live, patch)
}

// replace deletes a child that cannot be brought back, and makes another if that is gone.
func (c *Child[W, L]) replace(ctx context.Context, live L) (answer W, _ error) {
	policy := c.Propagation(live)
	preconditions := client.Preconditions{UID: new(live.GetUID()), ResourceVersion: new(live.GetResourceVersion())}
	if err := c.Client.Delete(ctx, live, preconditions, client.PropagationPolicy(policy)); err != nil {
		return answer, fmt.Errorf("replace it: %w", err)
	}
	answer, err := c.apply(ctx, "")
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return answer, applyerror.ErrReplaced
	}
	return answer, err
}

// read returns the child that the API server answered with.
func (c *Child[W, L]) read(answer W) (L, error) {
	live := c.Blank()
	text, err := json.Marshal(answer)
	if err != nil {
		return live, fmt.Errorf("read the answer: %w", err)
	}
	return live, json.Unmarshal(text, live)
}
