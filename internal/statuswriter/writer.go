package statuswriter

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/statuspatch"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// Writer writes the statuses of ExposedApps, when they differ and their time has come.
type Writer struct {
	*limiter
	client client.Client
}

// New returns a Writer. cached shows what it writes to who reads from its cache.
func New(cached client.Client) *Writer {
	return &Writer{limiter: newLimiter(), client: cached}
}

// Write writes a status that changed, or returns how long that has to wait. Where the
// ExposedApp changed meanwhile, what was found may not be true of it any more: nothing is
// written, and the change, which the cache is about to show, has it reconciled again.
func (w *Writer) Write(
	ctx context.Context, app *v1alpha1.ExposedApp, next v1alpha1.ExposedAppStatus, now time.Time,
) (written bool, pause time.Duration, _ error) {
	if pause := w.wait(client.ObjectKeyFromObject(app), &app.Status, &next, now); pause > 0 {
		return false, pause, nil
	}
	if equality.Semantic.DeepEqual(app.Status, next) {
		return false, 0, nil
	}
	patch, err := statuspatch.OfVersion(app.UID, app.ResourceVersion, next)
	if err != nil {
		return false, 0, fmt.Errorf("encode status: %w", err)
	}
	err = w.patch(ctx, app, client.RawPatch(types.JSONPatchType, patch))
	switch {
	case apierrors.IsConflict(err):
		return false, 0, nil
	case err != nil:
		// The app may be gone by now.
		return false, 0, client.IgnoreNotFound(fmt.Errorf("write status: %w", err))
	}
	return true, 0, nil
}

// patch patches the status. The API server answers with the whole object, which
// cannot be decoded where the spec cannot: then its metadata is asked for.
func (w *Writer) patch(ctx context.Context, app *v1alpha1.ExposedApp, patch client.Patch) error {
	meta := metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}
	if workload.Unreadable(app) == "" {
		return w.client.Status().Patch(ctx, &v1alpha1.ExposedApp{ObjectMeta: meta}, patch)
	}
	answer := &metav1.PartialObjectMetadata{ObjectMeta: meta}
	answer.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind("ExposedApp"))
	return w.client.Status().Patch(ctx, answer, patch, client.DisableReadYourWritesConsistency)
}
