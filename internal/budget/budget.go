// Package budget says how often node ports may be probed. It keeps the load of
// an app, and that of an agent, within bounds at any size of the cluster.
package budget

import "time"

const (
	// PerApp is how many probes per second all agents together make of one app
	// and IP family, once each has its first result.
	PerApp = 35

	// PerAgent is how many probes per second one agent makes.
	PerAgent = 500
)

// Period returns the time between two probes of one address, where each of
// clusterSize nodes probes the app on that many addresses, and a declared period
// asks for more probes of the app than there may be.
func Period(declared time.Duration, clusterSize, addresses int) time.Duration {
	return max(declared, time.Duration(clusterSize*addresses)*time.Second/PerApp)
}
