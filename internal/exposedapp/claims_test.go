package exposedapp

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}}
}

func TestOccupied(t *testing.T) {
	foreign := serviceHolding(31000)
	foreign.Namespace, foreign.Name = "shop", "cart"
	since := func(minutes int) gen.Option {
		return func(app *v1alpha1.ExposedApp) {
			app.Status = status(app, &observed{serviceRefusal: taken(31000)}, at(minutes))
		}
	}
	for name, tc := range map[string]struct {
		holder  *corev1.Service
		end     lineEnd
		options []gen.Option
		stalled bool
		says    string
	}{
		"by a foreign Service":              {holder: foreign, stalled: true, says: "free it there"},
		"by one that is being deleted":      {holder: foreign, end: leaves, says: "which is being deleted"},
		"by an app that moves":              {holder: appService("cart", 31000), end: moves, says: "about to move"},
		"by an app that may be about to":    {holder: appService("cart", 31000), says: "free it there"},
		"by an app for longer":              {holder: appService("cart", 31000), options: []gen.Option{since(3)}, stalled: true, says: "free it there"},
		"by an app that moves, for longer":  {holder: appService("cart", 31000), end: moves, options: []gen.Option{since(3)}, says: "about to move"},
		"by an app, since about this point": {holder: appService("cart", 31000), options: []gen.Option{since(10)}, says: "free it there"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := occupied(gen.ExposedApp("web", tc.options...), tc.holder, 31000, tc.end, at(10).Time)
			g.Expect(got.reason).To(Equal("PortConflict"))
			g.Expect(got.message).To(SatisfyAll(HavePrefix("31000 is held by Service shop/cart"), ContainSubstring(tc.says)))
			g.Expect(got.isStalled()).To(Equal(tc.stalled))
			pauses := BeNumerically(">", 0)
			if tc.stalled {
				pauses = BeZero()
			}
			g.Expect(got.pause()).To(pauses, "what passes is looked at again")
		})
	}
}

// A claim counts while it could be served.
func TestClaiming(t *testing.T) {
	refusedFor := func(refusal *refusal, minutes int) gen.Option {
		return func(app *v1alpha1.ExposedApp) {
			app.Status = status(app, &observed{serviceRefusal: refusal}, metav1.NewTime(at(60).Add(-time.Duration(minutes)*time.Minute)))
		}
	}
	created := func(minutes int) gen.Option {
		return func(app *v1alpha1.ExposedApp) { app.CreationTimestamp = at(60 - minutes) }
	}
	foreign := nameConflict("Service", "default", "web")
	for name, tc := range map[string]struct {
		options []gen.Option
		want    bool
	}{
		"one that is new":                 {[]gen.Option{created(0)}, true},
		"one that nobody follows":         {[]gen.Option{created(5)}, false},
		"one that waits for this port":    {[]gen.Option{created(50), refusedFor(taken(31000), 50)}, true},
		"one that has just been refused":  {[]gen.Option{created(50), refusedFor(foreign, 0)}, true},
		"one that was for a while":        {[]gen.Option{created(50), refusedFor(foreign, 2)}, false},
		"one that waits for a former one": {[]gen.Option{created(50), refusedFor(inItsPlace("Service", "a", "b", "goes"), 2)}, false},
		"one that is suspended":           {[]gen.Option{created(0), gen.WithSuspend}, false},
		"one that moves from another port": {[]gen.Option{created(50), func(app *v1alpha1.ExposedApp) {
			app.Status = status(app, healthy(), at(10))
			app.Generation++
		}}, true},
		"one that goes": {[]gen.Option{created(0), func(app *v1alpha1.ExposedApp) { app.DeletionTimestamp = new(at(59)) }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			app := gen.ExposedApp("web", append([]gen.Option{gen.WithIdentity("9f3c", 1)}, tc.options...)...)
			NewWithT(t).Expect(claiming(app, at(60).Time)).To(Equal(tc.want))
		})
	}
}

func TestOfFormerApp(t *testing.T) {
	app := gen.ExposedApp("web", gen.WithIdentity("new", 1))
	owned := func(change func(*metav1.OwnerReference)) *corev1.Service {
		service := appService("web", 31000)
		service.OwnerReferences[0].UID = "old"
		change(&service.OwnerReferences[0])
		return service
	}
	for name, tc := range map[string]struct {
		change func(*metav1.OwnerReference)
		want   bool
	}{
		"of a former one":       {func(*metav1.OwnerReference) {}, true},
		"of this one":           {func(o *metav1.OwnerReference) { o.UID = "new" }, false},
		"of another":            {func(o *metav1.OwnerReference) { o.Name = "cart" }, false},
		"of another kind":       {func(o *metav1.OwnerReference) { o.Kind = "Gateway" }, false},
		"of another group":      {func(o *metav1.OwnerReference) { o.APIVersion = "example.com/v1" }, false},
		"not under its control": {func(o *metav1.OwnerReference) { o.Controller = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(ofFormerApp(owned(tc.change), app)).To(Equal(tc.want))
		})
	}
}
