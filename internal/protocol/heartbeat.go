package protocol

import "time"

const (
	// PromptHeartbeat is the heartbeat of small clusters, on which agents answer a
	// recheck at once. On larger ones their writes keep a distance.
	PromptHeartbeat = minHeartbeat * time.Second

	// StaleAfter is the number of heartbeats after which a report that was not renewed
	// counts no more.
	StaleAfter = 3

	minHeartbeat = 10
	maxHeartbeat = 300
)

// HeartbeatSeconds grows with the cluster, from 10 to 300 at 5,000 nodes, so that all
// reports together cost the API server fewer than 20 writes a second.
func HeartbeatSeconds(size int32) int32 {
	return min(max(minHeartbeat, size*3/50), maxHeartbeat)
}

// Heartbeat decodes the heartbeat of a NodeReachability, within bounds.
func Heartbeat(heartbeatSeconds int32) time.Duration {
	return seconds(bounded(heartbeatSeconds, minHeartbeat, maxHeartbeat))
}
