package feed

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/exposedapp/exposedapp/internal/reachability"
)

// store is where a reflector puts what it lists and watches.
type store struct {
	ctx     context.Context
	reports *Reports
}

var _ toolscache.ReflectorBookmarkStore = store{}

// Add implements toolscache.ReflectorStore.
func (s store) Add(received any) error { return s.Update(received) }

// Update implements toolscache.ReflectorStore.
func (s store) Update(received any) error {
	s.reports.fold(s.ctx, received.(*reachability.Report))
	return nil
}

// Delete implements toolscache.ReflectorStore.
func (s store) Delete(received any) error {
	s.reports.heard()
	s.reports.remove(received.(metav1.Object).GetName())
	return nil
}

// Replace implements toolscache.ReflectorStore: what is not in a list is gone.
func (s store) Replace(list []any, _ string) error {
	listed := make(map[string]bool, len(list))
	for _, received := range list {
		listed[received.(metav1.Object).GetName()] = true
		s.reports.fold(s.ctx, received.(*reachability.Report))
	}
	for _, known := range s.reports.state.Reports() {
		if !listed[known.Name] {
			s.reports.remove(known.Name)
		}
	}
	s.reports.listed()
	return nil
}

// Bookmark implements toolscache.ReflectorBookmarkStore.
func (s store) Bookmark(string) error {
	s.reports.heard()
	return nil
}

// Resync implements toolscache.ReflectorStore.
func (store) Resync() error { return nil }
