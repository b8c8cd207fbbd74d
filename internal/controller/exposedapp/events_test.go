package exposedapp

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/test/gen"
)

// TestEventsOnVeryManyApps: there is a bound, and Warnings come first.
func TestEventsOnVeryManyApps(t *testing.T) {
	g, now := NewWithT(t), gen.At(0).Time
	events := rate.NewLimiter(eventsPerSecond, eventBurst)
	tell := func(kind string) (told int) {
		for range 10 * eventBurst {
			if allowed(events, kind, now) {
				told++
			}
		}
		return told
	}
	g.Expect(tell(corev1.EventTypeNormal)).To(Equal(eventBurst - warningBurst))
	g.Expect(tell(corev1.EventTypeWarning)).To(Equal(warningBurst))
	now = now.Add(time.Second)
	g.Expect(tell(corev1.EventTypeNormal)).To(BeZero())
	g.Expect(tell(corev1.EventTypeWarning)).To(Equal(eventsPerSecond))
	now = now.Add(time.Hour)
	g.Expect(tell(corev1.EventTypeNormal)).To(Equal(eventBurst - warningBurst))
}
