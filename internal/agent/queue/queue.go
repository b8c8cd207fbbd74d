// Package queue is a heap whose items know their places.
package queue

import "container/heap"

// Queue is a heap of items, the least on top.
type Queue[T comparable] struct {
	Items []T

	less  func(a, b T) bool
	place func(item T) *int32
}

// New returns an empty queue. less orders items, and place is where one keeps its place,
// which may be anything while it is in no queue.
func New[T comparable](less func(a, b T) bool, place func(item T) *int32) Queue[T] {
	return Queue[T]{less: less, place: place}
}

// Contains reports whether item is in the queue.
func (q *Queue[T]) Contains(item T) bool {
	at := int(*q.place(item))
	return at < len(q.Items) && q.Items[at] == item
}

// Put puts item into the queue, or moves it to where its order wants it.
func (q *Queue[T]) Put(item T) {
	if q.Contains(item) {
		heap.Fix((*items[T])(q), int(*q.place(item)))
	} else {
		heap.Push((*items[T])(q), item)
	}
}

// Take takes item out of the queue, if it is there.
func (q *Queue[T]) Take(item T) {
	if q.Contains(item) {
		heap.Remove((*items[T])(q), int(*q.place(item)))
	}
}

// items is a queue as heap.Interface.
type items[T comparable] Queue[T]

func (q *items[T]) Len() int           { return len(q.Items) }
func (q *items[T]) Less(i, j int) bool { return q.less(q.Items[i], q.Items[j]) }

func (q *items[T]) Swap(i, j int) {
	q.Items[i], q.Items[j] = q.Items[j], q.Items[i]
	*q.place(q.Items[i]), *q.place(q.Items[j]) = int32(i), int32(j)
}

func (q *items[T]) Push(x any) {
	item := x.(T)
	*q.place(item) = int32(len(q.Items))
	q.Items = append(q.Items, item)
}

func (q *items[T]) Pop() any {
	var none T
	last := len(q.Items) - 1
	item := q.Items[last]
	q.Items[last] = none
	q.Items = q.Items[:last]
	return item
}
