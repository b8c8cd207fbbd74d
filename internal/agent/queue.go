package agent

import (
	"container/heap"

	"github.com/exposedapp/exposedapp/internal/agent/reporter"
)

// never is later than anything.
const never = reporter.Never

// queue is a heap of pairs, the one that is due first on top. It implements
// heap.Interface, and tells each pair its place.
type queue []*pair

// nowhere is the place of a pair that is not in a queue.
const nowhere = -1

// put puts p into the queue, or moves it to where its due time wants it.
func (q *queue) put(p *pair) {
	if p.place == nowhere {
		heap.Push(q, p)
	} else {
		heap.Fix(q, int(p.place))
	}
}

// take takes p out of the queue, if it is there.
func (q *queue) take(p *pair) {
	if p.place != nowhere {
		heap.Remove(q, int(p.place))
	}
}

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = int32(i), int32(j)
}

func (q *queue) Push(x any) {
	p := x.(*pair)
	p.place = int32(len(*q))
	*q = append(*q, p)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	p.place = nowhere
	return p
}
