package main

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// follow hands over every object of a kind, and then every change, until ctx
// ends. A watch that ends begins anew, with all objects that are there; what was
// deleted in between is not told of. synced, unless nil, is called whenever all
// objects have been handed over.
//
// An API server that starts forbids everything until it knows the roles. What it forbids
// for longer than starting is an error.
func follow(
	ctx context.Context, c client.WithWatch, newList func() client.ObjectList,
	handle func(watch.EventType, client.Object), synced func(resourceVersion string), options ...client.ListOption,
) error {
	options = append(options, &client.ListOptions{Raw: &metav1.ListOptions{
		SendInitialEvents:    new(true),
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		AllowWatchBookmarks:  true,
	}})
	const starting = 30 * time.Second
	var forbidden time.Time
	for ctx.Err() == nil {
		err := followOnce(ctx, c, newList(), handle, synced, options)
		switch {
		case !apierrors.IsForbidden(err):
			forbidden = time.Time{}
		case forbidden.IsZero():
			forbidden = time.Now()
		}
		if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
			!forbidden.IsZero() && time.Since(forbidden) > starting {
			return err
		}
		// The API server restarts, or does not know the kind yet.
		_ = sleep(ctx, 100*time.Millisecond)
	}
	return nil
}

func followOnce(
	ctx context.Context, c client.WithWatch, list client.ObjectList,
	handle func(watch.EventType, client.Object), synced func(resourceVersion string), options []client.ListOption,
) error {
	events, err := c.Watch(ctx, list, options...)
	if err != nil {
		return err
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		switch event.Type {
		case watch.Error:
			return apierrors.FromObject(event.Object)
		case watch.Bookmark:
			object, ok := event.Object.(client.Object)
			if ok && synced != nil && object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
				synced(object.GetResourceVersion())
			}
		default:
			if object, ok := event.Object.(client.Object); ok {
				handle(event.Type, object)
			}
		}
	}
	return errors.New("the watch ended")
}
