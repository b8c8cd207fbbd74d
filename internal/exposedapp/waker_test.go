package exposedapp

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// counted is a queue that counts what is added to it.
type counted struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	added chan types.NamespacedName
}

func (c *counted) Add(request reconcile.Request) { c.added <- request.NamespacedName }

func TestWakerGathersOnlyMany(t *testing.T) {
	g := NewWithT(t)
	const apps, reports = 1000, 20
	queue := &counted{added: make(chan types.NamespacedName, apps*reports)}
	waker := &waker{queue: queue}
	var all []types.NamespacedName
	for i := range apps {
		all = append(all, types.NamespacedName{Name: fmt.Sprint(i)})
	}

	waker.wake(all[:promptWakes])
	g.Expect(queue.added).To(HaveLen(promptWakes), "at once")
	for range promptWakes {
		<-queue.added
	}

	for range reports {
		waker.wake(all)
	}
	waker.wake(all[:1])
	g.Expect(<-queue.added).To(Equal(all[0]), "a single one does not wait for many")
	woken := make(map[types.NamespacedName]int)
	for range apps {
		var app types.NamespacedName
		g.Eventually(queue.added).Should(Receive(&app))
		woken[app]++
	}
	g.Expect(woken).To(HaveLen(apps))
	g.Consistently(queue.added, 5*apps*wakeGather/10, time.Millisecond).ShouldNot(Receive(), "each once")

	waker.wake(all)
	g.Eventually(queue.added).Should(HaveLen(apps), "and again")
}
