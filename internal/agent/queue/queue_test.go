package queue_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/agent/queue"
)

type item struct {
	order int
	place int32
}

// TestQueue puts, moves and takes items at random, and empties the queue in order.
func TestQueue(t *testing.T) {
	g, random := NewWithT(t), rand.New(rand.NewPCG(1, 1))
	q := queue.New(
		func(a, b *item) bool { return a.order < b.order },
		func(i *item) *int32 { return &i.place },
	)
	items := make([]*item, 50)
	for i := range items {
		items[i] = &item{place: int32(random.IntN(60))}
	}
	within := map[*item]bool{}
	for range 2000 {
		i := items[random.IntN(len(items))]
		i.order = random.IntN(100)
		if random.IntN(3) > 0 || q.Contains(i) {
			q.Put(i)
			within[i] = true
		}
		if i = items[random.IntN(len(items))]; random.IntN(3) == 0 {
			q.Take(i)
			delete(within, i)
		}
		for _, i := range items {
			g.Expect(q.Contains(i)).To(Equal(within[i]))
		}
		if len(within) > 0 {
			g.Expect(q.Items[0].order).To(Equal(slices.MinFunc(q.Items, func(a, b *item) int {
				return cmp.Compare(a.order, b.order)
			}).order))
		}
	}
}
