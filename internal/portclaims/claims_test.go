package portclaims

import (
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/appstatus"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestOccupied(t *testing.T) {
	foreign := gen.ServiceHolding(31000)
	foreign.Namespace, foreign.Name = "shop", "cart"
	since := func(minutes int) gen.Option {
		return func(app *v1alpha1.ExposedApp) {
			app.Status = appstatus.Of(app, &appstatus.Observed{ServiceError: taken(31000)}, gen.At(minutes))
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
		"by an app that moves":              {holder: gen.AppService("cart", 31000), end: moves, says: "about to move"},
		"by an app that may be about to":    {holder: gen.AppService("cart", 31000), says: "free it there"},
		"by an app for longer":              {holder: gen.AppService("cart", 31000), options: []gen.Option{since(3)}, stalled: true, says: "free it there"},
		"by an app that moves, for longer":  {holder: gen.AppService("cart", 31000), end: moves, options: []gen.Option{since(3)}, says: "about to move"},
		"by an app, since about this point": {holder: gen.AppService("cart", 31000), options: []gen.Option{since(10)}, says: "free it there"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := occupied(gen.ExposedApp("web", tc.options...), tc.holder, 31000, tc.end, gen.At(10).Time)
			g.Expect(got.Reason).To(Equal("PortConflict"))
			g.Expect(got.Message).To(SatisfyAll(HavePrefix("31000 is held by Service shop/cart"), ContainSubstring(tc.says)))
			g.Expect(got.IsStalled()).To(Equal(tc.stalled))
			pauses := BeNumerically(">", 0)
			if tc.stalled {
				pauses = BeZero()
			}
			g.Expect(got.Pause()).To(pauses, "what passes is looked at again")
		})
	}
}

// A claim counts while it could be served.
func TestClaiming(t *testing.T) {
	refusedFor := func(refusal *applyerror.Error, minutes int) gen.Option {
		return func(app *v1alpha1.ExposedApp) {
			app.Status = appstatus.Of(app, &appstatus.Observed{ServiceError: refusal}, metav1.NewTime(gen.At(60).Add(-time.Duration(minutes)*time.Minute)))
		}
	}
	created := func(minutes int) gen.Option {
		return func(app *v1alpha1.ExposedApp) { app.CreationTimestamp = gen.At(60 - minutes) }
	}
	foreign := applyerror.NameConflict("Service", "default", "web")
	for name, tc := range map[string]struct {
		options []gen.Option
		want    bool
	}{
		"one that is new":                 {[]gen.Option{created(0)}, true},
		"one that nobody follows":         {[]gen.Option{created(5)}, false},
		"one that waits for this port":    {[]gen.Option{created(50), refusedFor(taken(31000), 50)}, true},
		"one that has just been refused":  {[]gen.Option{created(50), refusedFor(foreign, 0)}, true},
		"one that was for a while":        {[]gen.Option{created(50), refusedFor(foreign, 2)}, false},
		"one that waits for a former one": {[]gen.Option{created(50), refusedFor(applyerror.NameOccupied("Service", "a", "b", "goes"), 2)}, false},
		"one that is suspended":           {[]gen.Option{created(0), gen.WithSuspend}, false},
		"one that moves from another port": {[]gen.Option{created(50), func(app *v1alpha1.ExposedApp) {
			app.Status = appstatus.Of(app, &appstatus.Observed{Service: gen.ServiceHolding(31000)}, gen.At(10))
			app.Generation++
		}}, true},
		"one that goes": {[]gen.Option{created(0), func(app *v1alpha1.ExposedApp) { app.DeletionTimestamp = new(gen.At(59)) }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			app := gen.ExposedApp("web", append([]gen.Option{gen.WithIdentity("9f3c", 1)}, tc.options...)...)
			NewWithT(t).Expect(claiming(app, gen.At(60).Time)).To(Equal(tc.want))
		})
	}
}

func TestOlder(t *testing.T) {
	g := NewWithT(t)
	early, late := gen.ExposedApp("z"), gen.ExposedApp("a")
	early.CreationTimestamp, late.CreationTimestamp = gen.At(0), gen.At(1)
	g.Expect(older(early, late)).To(BeTrue())
	g.Expect(older(late, early)).To(BeFalse())

	late.CreationTimestamp = early.CreationTimestamp
	early.UID, late.UID = "1", "2"
	g.Expect(older(early, late)).To(BeTrue(), "of the same second, by what nobody can choose")
	g.Expect(older(late, early)).To(BeFalse())
	g.Expect(older(early, early)).To(BeFalse(), "an app is no rival of its own")
}

// Of many that ask for a node port the oldest has it, and all others name that one.
func TestOlderClaim(t *testing.T) {
	g, now := NewWithT(t), clocktesting.NewFakePassiveClock(gen.At(10).Time)
	var apps []*v1alpha1.ExposedApp
	for i, name := range []string{"c", "a", "b"} {
		app := gen.ExposedApp(name, gen.WithNodePort(30001), gen.WithIdentity(types.UID(name), 1))
		app.CreationTimestamp = gen.At(i)
		app.Status = appstatus.Of(app, &appstatus.Observed{ServiceError: taken(30001)}, gen.At(i))
		apps = append(apps, app)
	}
	claim := func(app *v1alpha1.ExposedApp) *applyerror.Error {
		return (&Claims{asking: asking(apps...), clock: now}).olderClaim(app, 30001)
	}
	g.Expect(claim(apps[0])).To(BeNil())
	for _, app := range apps[1:] {
		for range 10 {
			g.Expect(claim(app).Message).To(HavePrefix("30001 is claimed by ExposedApp default/c, "))
			g.Expect(claim(app).IsStalled()).To(BeFalse(), "it will pass")
			g.Expect(claim(app).Pause()).NotTo(BeZero())
		}
	}
	for _, out := range []func(*v1alpha1.ExposedApp){
		func(app *v1alpha1.ExposedApp) { app.Spec.Suspend = new(true) },
		func(app *v1alpha1.ExposedApp) { app.DeletionTimestamp = new(metav1.Now()) },
		func(app *v1alpha1.ExposedApp) {
			app.Status = appstatus.Of(app, &appstatus.Observed{ServiceError: applyerror.NameConflict("Service", "default", "c")}, gen.At(8))
		},
	} {
		rest := slices.Clone(apps)
		rest[0] = apps[0].DeepCopy()
		out(rest[0])
		found := (&Claims{asking: asking(rest...), clock: now}).olderClaim(apps[2], 30001)
		g.Expect(found.Message).To(HavePrefix("30001 is claimed by ExposedApp default/a, "))
	}
}

// asking returns who of some apps asks for a node port, as a cache does.
func asking(apps ...*v1alpha1.ExposedApp) func(string) ([]*v1alpha1.ExposedApp, error) {
	return func(nodePort string) (found []*v1alpha1.ExposedApp, _ error) {
		for _, app := range apps {
			if slices.Contains(claimedPort(app), nodePort) {
				found = append(found, app)
			}
		}
		return found, nil
	}
}

// taken is a node port that another Service holds.
func taken(nodePort int32) *applyerror.Error {
	return &applyerror.Error{
		Reason: v1alpha1.ReasonPortConflict, Message: fmt.Sprintf("%d is held by Service shop/cart", nodePort), Stalled: true,
	}
}
