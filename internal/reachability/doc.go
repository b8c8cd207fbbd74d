// Package reachability holds what is known of the nodes of a cluster and of the apps that
// are exposed on them. Agents report what they found (NodeReachability); the State keeps
// their reports in memory. Verdicts are given on a Snapshot of it (package verdict), and
// what has to be asked because of them comes back into it (package dispute). These are the
// rules of truth, which live in these packages and nowhere else:
//
//   - A node's own report is no proof: kube-proxy lets host-local traffic bypass
//     externalTrafficPolicy. It counts only in a cluster of one node.
//   - A report speaks of the Services that it knew. What it says of a node port
//     counts only for the Service that it covers, never for a later one on the
//     same port.
//   - A dial that the observer's own kernel takes elsewhere says nothing about the node,
//     nor does one of an address of the observer's own host.
//   - What observers outside of the cluster say is held against what those in it say, and
//     stands in for it where there is nothing.
//   - A report speaks of the addresses that its observer was given, and of nothing else.
//   - A report that is not renewed for three heartbeats is stale and says
//     nothing.
//   - Where observers disagree, they are asked to look again: only results newer
//     than the disagreement are held against each other.
//   - An observer that reaches no other node, where others do, is itself the
//     problem: it is set aside and named. That is the exception: where
//     it is not the minority, it is not made.
//   - Where nobody can tell, the verdict is Unknown, and says why.
//
// The package makes no call and reads no clock.
package reachability
