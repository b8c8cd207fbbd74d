package exposedapp

import (
	"fmt"
	"testing"
	"testing/synctest"
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

func TestBatcherGathersOnlyMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		const apps, reports, nodes = 1000, 20, 16
		const gather = apps * nodes * windowPerVerdict
		queue := &counted{added: make(chan types.NamespacedName, apps*reports)}
		batch := &batcher{queue: queue, nodes: func() int { return nodes }}
		var all []types.NamespacedName
		for i := range apps {
			all = append(all, types.NamespacedName{Name: fmt.Sprint(i)})
		}

		batch.add(all[:promptApps])
		g.Expect(queue.added).To(HaveLen(promptApps), "at once")
		for range promptApps {
			<-queue.added
		}

		for range reports {
			batch.add(all)
		}
		batch.add(all[:1])
		g.Expect(<-queue.added).To(Equal(all[0]), "a single one does not wait for many")
		woken := make(map[types.NamespacedName]int)
		for range apps {
			var app types.NamespacedName
			g.Eventually(queue.added).Should(Receive(&app))
			woken[app]++
		}
		g.Expect(woken).To(HaveLen(apps))
		g.Consistently(queue.added, gather/2, time.Millisecond).ShouldNot(Receive(), "each once")

		batch.add(all)
		g.Eventually(queue.added).Should(HaveLen(apps), "and again")
	})
}

// TestBatcherGathersForVeryManyNodes: even a few apps take long to judge there.
func TestBatcherGathersForVeryManyNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		const nodes = 5000
		queue := &counted{added: make(chan types.NamespacedName, 10)}
		batch := &batcher{queue: queue, nodes: func() int { return nodes }}
		app := types.NamespacedName{Name: "web"}
		for range 10 {
			batch.add([]types.NamespacedName{app})
		}
		g.Consistently(queue.added, nodes*windowPerVerdict/2, time.Millisecond).ShouldNot(Receive())
		g.Eventually(queue.added).Should(Receive(Equal(app)))
		g.Consistently(queue.added, nodes*windowPerVerdict, time.Millisecond).ShouldNot(Receive(), "once")
	})
}
