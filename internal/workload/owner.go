package workload

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// Owned reports whether an object is controlled by an ExposedApp.
func Owned(object metav1.Object) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && IsExposedApp(owner)
}

// IsExposedApp reports whether an owner is an ExposedApp.
func IsExposedApp(owner *metav1.OwnerReference) bool {
	group, _, _ := strings.Cut(owner.APIVersion, "/")
	return owner.Kind == "ExposedApp" && group == v1alpha1.SchemeGroupVersion.Group
}

// OfFormerApp reports whether an object is controlled by another ExposedApp of an app's name,
// which can only be one before it: the garbage collector is on its way.
func OfFormerApp(object metav1.Object, app *v1alpha1.ExposedApp) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && IsExposedApp(owner) && owner.Name == app.Name && owner.UID != app.UID
}

// Suspended reports whether the operator must leave the children of an app as they are.
func Suspended(app *v1alpha1.ExposedApp) bool {
	return ptr.Deref(app.Spec.Suspend, false)
}

// unreadableAnnotation stands on a cached ExposedApp whose spec cannot be decoded, and
// says why. What users annotate is not in the cache.
const unreadableAnnotation = "exposedapp.dev/unreadable"

// MarkUnreadable notes why the spec of an app cannot be decoded.
func MarkUnreadable(app *v1alpha1.ExposedApp, problem string) {
	app.Annotations = map[string]string{unreadableAnnotation: problem}
}

// Unreadable returns why the spec of an app could not be decoded, "" where it could. Its
// children stay as they are: what is declared is not known.
func Unreadable(app *v1alpha1.ExposedApp) string { return app.Annotations[unreadableAnnotation] }
