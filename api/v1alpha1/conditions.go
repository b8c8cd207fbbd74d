package v1alpha1

// Conditions of an ExposedApp. The first four are always present and good when
// True; Reconciling and Stalled follow kstatus: present only while True, and
// never both.
const (
	// ConditionReady sums up the others: the declared state is rolled out, and
	// spec.minReachable of the expected nodes answer.
	ConditionReady = "Ready"

	// ConditionAvailable is whether the Deployment has its pods available.
	ConditionAvailable = "Available"

	// ConditionPortAllocated is whether the Service holds the node port.
	ConditionPortAllocated = "PortAllocated"

	// ConditionReachable is whether every expected node answers.
	ConditionReachable = "Reachable"

	// ConditionReconciling means that the operator is still working towards the
	// spec. It is not set for nodes that fail to answer.
	ConditionReconciling = "Reconciling"

	// ConditionStalled means that a human must edit something. It is not set
	// for nodes that fail to answer.
	ConditionStalled = "Stalled"
)

// Reasons of Ready. When it is not True it otherwise carries the reason of the
// condition that holds it back.
const (
	// ReasonReady: the app is rolled out and answers.
	ReasonReady = "Ready"

	// ReasonRolloutInProgress: pods of an older revision are still there, or
	// those of the newest are not all there and available, or there are more than
	// declared. Also a reason of Reconciling.
	ReasonRolloutInProgress = "RolloutInProgress"

	// ReasonRolloutPaused: pods of an older revision are still there, and the
	// Deployment's spec.paused is true.
	ReasonRolloutPaused = "RolloutPaused"

	// ReasonSuspended: spec.suspend is true, and what is declared was never
	// rolled out.
	ReasonSuspended = "Suspended"

	// ReasonApplyFailed: the API server refused an object for a reason that the
	// operator cannot tell apart further, and the operator tries again.
	ReasonApplyFailed = "ApplyFailed"

	// ReasonInvalidApp: the API server refused the Deployment or the Service for a
	// field that is declared; its own words are in the message. Also a reason of
	// Stalled.
	ReasonInvalidApp = "InvalidApp"
)

// Reasons of Available.
const (
	// ReasonMinimumReplicasAvailable: the Deployment has enough pods available.
	ReasonMinimumReplicasAvailable = "MinimumReplicasAvailable"

	// ReasonMinimumReplicasUnavailable: the Deployment has too few pods
	// available.
	ReasonMinimumReplicasUnavailable = "MinimumReplicasUnavailable"

	// ReasonProgressDeadlineExceeded: the rollout made no progress for longer
	// than the Deployment's deadline.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"

	// ReasonScaledToZero: spec.app.replicas is 0.
	ReasonScaledToZero = "ScaledToZero"
)

// Reasons of PortAllocated.
const (
	// ReasonAllocated: the Service holds the node port.
	ReasonAllocated = "Allocated"

	// ReasonPortConflict: another Service holds the node port, or an older
	// ExposedApp claims it.
	ReasonPortConflict = "PortConflict"

	// ReasonPortOutOfRange: the node port is outside the cluster's range.
	ReasonPortOutOfRange = "PortOutOfRange"

	// ReasonNameConflict: a Deployment or Service of the same name exists that
	// the ExposedApp does not own. Also a reason of Available.
	ReasonNameConflict = "NameConflict"
)

// Reasons of Reachable, and of a node's verdict.
const (
	// ReasonAllReachable: every expected node answers.
	ReasonAllReachable = "AllReachable"

	// ReasonReachableFromSelfOnly: the only node of the cluster answers itself.
	// Nobody else is there to confirm it.
	ReasonReachableFromSelfOnly = "ReachableFromSelfOnly"

	// ReasonNodesUnreachable: some expected nodes do not answer.
	ReasonNodesUnreachable = "NodesUnreachable"

	// ReasonNoReadyEndpoints: no pod of the app is ready, so no node can answer.
	ReasonNoReadyEndpoints = "NoReadyEndpoints"

	// ReasonNoExpectedNodes: no node of the cluster is expected to answer.
	ReasonNoExpectedNodes = "NoExpectedNodes"

	// ReasonPending: there is no proof yet, and not enough time has passed to
	// miss it.
	ReasonPending = "Pending"

	// ReasonNoObserver: no fresh report of another node covers the node.
	ReasonNoObserver = "NoObserver"

	// ReasonPartiallyReachable: some observers reach the node, others do not.
	ReasonPartiallyReachable = "PartiallyReachable"

	// ReasonSuspectObserver: the node answers all but an observer that reaches no
	// other node at all. That observer is set aside, and named in the message.
	ReasonSuspectObserver = "SuspectObserver"

	// ReasonNotServed: the port answers, but no pod of the app is there that
	// could: something else holds the port on the node.
	ReasonNotServed = "NotServed"

	// ReasonUnexpectedAnswer: externalTrafficPolicy is Local and no pod of the
	// app is on the node, yet it answers other nodes rather than drop what comes.
	ReasonUnexpectedAnswer = "UnexpectedAnswer"
)

// Reasons of a node's verdict that the way of the dials makes.
const (
	// ReasonTranslatedAtSource: the kernels of the observers take their dials
	// elsewhere (a socket load balancer), so that none of them says anything about
	// the node. Also the reason for which a report has no word on it.
	ReasonTranslatedAtSource = "TranslatedAtSource"

	// ReasonOutsideUnreachable: the node answers the observers in the cluster, and
	// not those outside of it.
	ReasonOutsideUnreachable = "OutsideUnreachable"
)

// Reasons for which a node is not expected to answer.
const (
	// ReasonNodeExcluded: spec.expectedNodes or the operator's --expected-nodes does
	// not select the Node.
	ReasonNodeExcluded = "NodeExcluded"

	// ReasonNodeNotReady: the Node's Ready condition is not True.
	ReasonNodeNotReady = "NodeNotReady"

	// ReasonNodeDeleting: the Node is being deleted.
	ReasonNodeDeleting = "NodeDeleting"

	// ReasonNoAddress: the Node has no usable address of the IP family.
	ReasonNoAddress = "NoAddress"

	// ReasonNoLocalEndpoint: externalTrafficPolicy is Local, and no ready pod of
	// the app is on the node.
	ReasonNoLocalEndpoint = "NoLocalEndpoint"
)

// Reasons for which a dial fails, told by the observer.
const (
	// ReasonConnectionRefused: the node refused the connection (RST).
	ReasonConnectionRefused = "ConnectionRefused"

	// ReasonConnectionReset: the connection was reset after it was made.
	ReasonConnectionReset = "ConnectionReset"

	// ReasonTimeout: no answer within the probe's timeout.
	ReasonTimeout = "Timeout"

	// ReasonNoRoute: the observer has no route to the address.
	ReasonNoRoute = "NoRoute"

	// ReasonHTTPStatus: the answer's status code is neither 2xx nor 3xx.
	ReasonHTTPStatus = "HTTPStatus"

	// ReasonProtocolError: what answered does not speak HTTP.
	ReasonProtocolError = "ProtocolError"

	// ReasonOther: the observer gives a reason that the operator does not know.
	ReasonOther = "Other"
)

// IsDialReason reports whether a reason is one for which observers say that a dial
// fails.
func IsDialReason(reason string) bool {
	switch reason {
	case ReasonConnectionRefused, ReasonConnectionReset, ReasonTimeout, ReasonNoRoute, ReasonHTTPStatus,
		ReasonProtocolError:
		return true
	}
	return false
}

// EvidenceReached is what Evidence says of a way on which the app, or
// kube-proxy, answered.
const EvidenceReached = "Reached"
