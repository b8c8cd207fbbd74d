package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// restTime is how long the operator is observed to find out whether it is at rest: it
	// is if it allocated less than one part in restShare of what its heap holds.
	restTime  = time.Minute
	restShare = 16

	// worthShare is the part of the heap that has to be allocated since memory was last
	// given back for that to be worth it again.
	worthShare = 8
)

// scavenger gives memory back to the system while the operator is at rest. Go
// keeps room for as much garbage as the last work made, which is mostly the start, or
// thousands of apps at once: for days after it nothing needs that room.
type scavenger struct{}

// NeedLeaderElection says that a standby does so as well.
func (scavenger) NeedLeaderElection() bool { return false }

// Start returns when the context ends.
func (scavenger) Start(ctx context.Context) error {
	ticker := time.NewTicker(restTime)
	defer ticker.Stop()
	var before heapSample
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if before.due(readHeap()) {
				debug.FreeOSMemory()
			}
		}
	}
}

// heap is what the runtime knows of its heap, in bytes: what it holds, garbage included,
// and what was ever allocated.
type heap struct{ holds, allocated uint64 }

func readHeap() heap {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	return heap{holds: samples[0].Value.Uint64(), allocated: samples[1].Value.Uint64()}
}

// heapSample is how much had been allocated, in bytes, at the last tick and when memory was
// last given back.
type heapSample struct{ seen, returned uint64 }

// due reports whether the heap was at rest since the last tick, and has garbage that is
// worth a collection.
func (s *heapSample) due(now heap) bool {
	rests := now.allocated-s.seen < now.holds/restShare
	s.seen = now.allocated
	if !rests || now.allocated-s.returned < now.holds/worthShare {
		return false
	}
	s.returned = now.allocated
	return true
}
