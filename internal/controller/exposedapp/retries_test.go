package exposedapp

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/exposedapp/exposedapp/test/gen"
)

// However long an app was refused, it is tried within seconds, and many together do not
// ask more often than a few.
func TestRetries(t *testing.T) {
	g, retries := NewWithT(t), newRetries()
	app := requestFor("web")
	var pauses []time.Duration
	for range 60 {
		pauses = append(pauses, retries.When(app))
	}
	g.Expect(pauses[0]).To(Equal(firstRetry))
	g.Expect(pauses).To(HaveEach(BeNumerically("<=", lastRetry)))
	g.Expect(pauses[59]).To(Equal(lastRetry))
	for range 20 * retriesPerSecond {
		retries.When(app)
	}
	g.Expect(retries.When(app)).To(BeNumerically(">", lastRetry))
	g.Expect(retries.When(requestFor("other"))).To(Equal(firstRetry), "a conflict of two writers waits for nobody")
}

// An app that is woken often takes its turn once.
func TestAsksOnce(t *testing.T) {
	g, retries, now := NewWithT(t), newRetries(), gen.At(0).Time
	const askAgain, lookAgain = 10 * time.Second, 5 * time.Second
	app := requestFor("web").NamespacedName
	first := retries.askAfter(app, askAgain, now)
	g.Expect(first).To(And(BeNumerically(">=", askAgain), BeNumerically("<=", askAgain*6/5)))
	for range 10 * retryBurst {
		g.Expect(retries.askAfter(app, askAgain, now.Add(time.Second))).To(Equal(first - time.Second))
	}
	g.Expect(retries.askAfter(app, lookAgain, now)).To(BeNumerically("<=", lookAgain*6/5), "another refusal has another pause")
	g.Expect(retries.askAfter(requestFor("other").NamespacedName, askAgain, now)).To(BeNumerically("<=", askAgain*6/5))
	g.Expect(retries.askAfter(app, 0, now)).To(BeZero())
	g.Expect(retries.asks).To(HaveLen(1))
}

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}}
}
