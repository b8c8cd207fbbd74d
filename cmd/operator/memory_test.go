package main

import (
	"testing"

	. "github.com/onsi/gomega"
)

// TestMemoryIsReturnedAtRest goes through looks at a heap of 160 bytes, a minute apart.
func TestMemoryIsReturnedAtRest(t *testing.T) {
	g := NewWithT(t)
	var before heapSample
	for _, look := range []struct {
		allocated uint64
		due       bool
		why       string
	}{
		{1000, false, "it is at work"},
		{1500, false, "it still is"},
		{1505, true, "it is at rest, and has garbage"},
		{1509, false, "there is too little garbage"},
		{1514, false, "there still is"},
		{1523, false, "there still is"},
		{1525, true, "garbage has gathered at rest as well"},
		{2000, false, "it is at work again"},
		{2009, true, "it is at rest again"},
	} {
		g.Expect(before.due(heap{holds: 160, allocated: look.allocated})).To(Equal(look.due), look.why)
	}
}

func TestHeapIsRead(t *testing.T) {
	g := NewWithT(t)
	now := readHeap()
	g.Expect(now.holds).To(BeNumerically(">", 0))
	g.Expect(now.allocated).To(BeNumerically(">=", now.holds))
}
