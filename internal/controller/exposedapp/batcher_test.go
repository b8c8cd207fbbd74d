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
	const apps, reports, nodes = 1000, 20, 16
	const gather = apps * nodes * windowPerVerdict
	queue := &counted{added: make(chan types.NamespacedName, apps*reports)}
	waker := &batcher{queue: queue, nodes: func() int { return nodes }}
	var all []types.NamespacedName
	for i := range apps {
		all = append(all, types.NamespacedName{Name: fmt.Sprint(i)})
	}

	waker.add(all[:promptApps])
	g.Expect(queue.added).To(HaveLen(promptApps), "at once")
	for range promptApps {
		<-queue.added
	}

	for range reports {
		waker.add(all)
	}
	waker.add(all[:1])
	g.Expect(<-queue.added).To(Equal(all[0]), "a single one does not wait for many")
	woken := make(map[types.NamespacedName]int)
	for range apps {
		var app types.NamespacedName
		g.Eventually(queue.added).Should(Receive(&app))
		woken[app]++
	}
	g.Expect(woken).To(HaveLen(apps))
	g.Consistently(queue.added, gather/2, time.Millisecond).ShouldNot(Receive(), "each once")

	waker.add(all)
	g.Eventually(queue.added).Should(HaveLen(apps), "and again")
}

// TestWakerGathersForVeryManyNodes: even a few apps take long to judge there.
func TestWakerGathersForVeryManyNodes(t *testing.T) {
	g := NewWithT(t)
	const nodes = 5000
	queue := &counted{added: make(chan types.NamespacedName, 10)}
	waker := &batcher{queue: queue, nodes: func() int { return nodes }}
	app := types.NamespacedName{Name: "web"}
	for range 10 {
		waker.add([]types.NamespacedName{app})
	}
	g.Consistently(queue.added, nodes*windowPerVerdict/2, time.Millisecond).ShouldNot(Receive())
	g.Eventually(queue.added).Should(Receive(Equal(app)))
	g.Consistently(queue.added, nodes*windowPerVerdict, time.Millisecond).ShouldNot(Receive(), "once")
}
