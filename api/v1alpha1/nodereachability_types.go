package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NodeReachability is one observer's view of the node ports of the cluster. That of a
// node carries the name of its Node and is owned by it. One that carries the label
// exposedapp.dev/vantage with the value outside is that of an observer outside of the
// cluster: an admin makes it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=nodereachabilities,singular=nodereachability,shortName=nreach
// +kubebuilder:printcolumn:name="Heartbeat",type=integer,JSONPath=`.spec.heartbeatSeconds`
// +kubebuilder:printcolumn:name="NodePorts",type=string,JSONPath=`.status.nodePorts`
// +kubebuilder:printcolumn:name="Failing",type=string,JSONPath=`.status.failures[*].nodePorts`
// +kubebuilder:printcolumn:name="Renewed",type=date,JSONPath=`.status.renewTime`
type NodeReachability struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the operator asks of the agent on this node.
	// +optional
	// +kubebuilder:default={}
	Spec NodeReachabilitySpec `json:"spec,omitempty"`

	// status is the report of the agent on this node.
	// +optional
	Status NodeReachabilityStatus `json:"status,omitempty"`
}

// NodeReachabilityList is a list of NodeReachabilities.
//
// +kubebuilder:object:root=true
type NodeReachabilityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodeReachability `json:"items"`
}

// NodeReachabilitySpec is what an agent dials and how often it reports.
type NodeReachabilitySpec struct {
	// heartbeatSeconds is the time after which an unchanged report is renewed,
	// in seconds. A report not renewed for three heartbeats is stale.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	HeartbeatSeconds int32 `json:"heartbeatSeconds,omitempty"`

	// clusterSize is about how many nodes the cluster has, rounded up so that it
	// seldom changes. With it the periods of probes grow, so that all nodes
	// together do not probe an app too often.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	ClusterSize int32 `json:"clusterSize,omitempty"`

	// targets are the nodes whose node ports are dialled, this node included if the
	// observer is on one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Targets []Target `json:"targets,omitempty"`

	// recheck asks for probes out of turn, because observers disagree.
	// +optional
	Recheck *Recheck `json:"recheck,omitempty"`
}

// Recheck is a request for results that are newer than itself, on each of
// nodePorts on each of addresses.
type Recheck struct {
	// round grows from one request to the next.
	// +kubebuilder:validation:Minimum=1
	Round int64 `json:"round"`

	// nodePorts are the node ports, as ascending ranges.
	// +kubebuilder:validation:MaxLength=20000
	NodePorts string `json:"nodePorts"`

	// addresses are the node addresses.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses"`
}

// Target is a node to dial.
type Target struct {
	// node is the name of the Node.
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node"`

	// addresses are the node's addresses, at most one per IP family.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses,omitempty"`

	// turn is this node's place, from 1, among the others that dial the target
	// and share the period of its probes: one fewer than there are targets here.
	// The target itself has turn 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=64
	Turn int32 `json:"turn,omitempty"`
}

// NodeReachabilityStatus is a report: every node port in nodePorts was reached
// on every address in addresses, but for what failures and pending name.
//
// +kubebuilder:validation:XValidation:rule="(has(self.failures) ? self.failures.map(f, size(f.nodePorts) + (has(f.message) ? size(f.message) : 0) + 46 * size(f.addresses)).sum() : 0) + (has(self.pending) ? self.pending.map(p, size(p.nodePorts) + 46 * size(p.addresses)).sum() : 0) <= 32768",message="status.failures and status.pending must have at most 32768 characters in node ports, messages and addresses in all"
type NodeReachabilityStatus struct {
	// observedGeneration is the metadata.generation whose targets were dialled.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// recheckRound is the newest spec.recheck.round that was carried out: what
	// the report says of the pairs named there was found after the request.
	// +optional
	RecheckRound int64 `json:"recheckRound,omitempty"`

	// renewTime is when the agent last wrote the report, by the node's clock, in UTC
	// and with six digits of a fraction.
	// +optional
	RenewTime *metav1.MicroTime `json:"renewTime,omitempty"`

	// servicesResourceVersion is the newest state of the Services that the
	// report covers: what it says of a node port is said of the Service that
	// held the port at that resourceVersion, in its form of that time.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ServicesResourceVersion string `json:"servicesResourceVersion,omitempty"`

	// addresses are the node addresses that were dialled.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses,omitempty"`

	// nodePorts are the node ports that were dialled, as ascending ranges, such
	// as 30000-30010,31000.
	// +optional
	// +kubebuilder:validation:MaxLength=8000
	NodePorts string `json:"nodePorts,omitempty"`

	// failures are the node ports that did not answer.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Failures []ProbeFailure `json:"failures,omitempty"`

	// pending are the node ports that have no result yet.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Pending []PendingProbes `json:"pending,omitempty"`

	// probes counts the probes that the agent made. The counts are those of the
	// time of the report, which is never written for their sake.
	// +optional
	// +structType=atomic
	Probes *ProbeStatistics `json:"probes,omitempty"`
}

// ProbeFailure is one way in which node ports fail: each of nodePorts on each of
// addresses.
type ProbeFailure struct {
	// reason is the kind of failure.
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`

	// message is the raw error of the dial, without the address.
	// +optional
	// +kubebuilder:validation:MaxLength=160
	Message string `json:"message,omitempty"`

	// evidence is what the observer found on other ways to the apps.
	// +optional
	Evidence *Evidence `json:"evidence,omitempty"`

	// nodePorts are the node ports, as ascending ranges.
	// +kubebuilder:validation:MaxLength=8000
	NodePorts string `json:"nodePorts"`

	// addresses are the node addresses.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses"`
}

// Evidence is what an observer found on other ways to an app whose node port
// does not answer it, while it did not: Reached, or the reason of the failure.
// What was not tried, or not found out yet, is empty.
type Evidence struct {
	// pod is a ready pod, dialled at its own address.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Pod string `json:"pod,omitempty"`

	// clusterIP is the Service's cluster IP, by way of the observer's own
	// kube-proxy.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ClusterIP string `json:"clusterIP,omitempty"`

	// kubeProxy is the health port of kube-proxy on the node that does not
	// answer: Reached when it says that it is healthy.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	KubeProxy string `json:"kubeProxy,omitempty"`
}

// PendingOwnAddress is the reason of PendingProbes for an address that is, by whatever
// name, one of the observer's own host: a dial of it says nothing about another node.
const PendingOwnAddress = "OwnAddress"

// PendingProbes are node ports about which the report has no word: each of
// nodePorts on each of addresses.
type PendingProbes struct {
	// reason is why there is no word: TranslatedAtSource where the observer's own
	// kernel took the newest dial elsewhere, OwnAddress where the address is the
	// observer's own, and empty where there is no result yet.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// translatedTo is where those dials ended instead, as an address and a port. It is
	// empty where they ended at different places.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	TranslatedTo string `json:"translatedTo,omitempty"`

	// nodePorts are the node ports, as ascending ranges.
	// +kubebuilder:validation:MaxLength=8000
	NodePorts string `json:"nodePorts"`

	// addresses are the node addresses.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses"`
}

// ProbeStatistics counts the probes of all node ports, those of the node itself
// included, since the agent started.
type ProbeStatistics struct {
	// startTime is when the agent started to count, by the node's clock, in UTC.
	StartTime metav1.Time `json:"startTime"`

	// results are the numbers of probes by result. A result that never came is
	// left out.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Results []ProbeCount `json:"results,omitempty"`

	// dials are the numbers of dials of node ports by the way that the observer's
	// kernel took them: Direct, Translated or Unverified. A way that was never taken
	// is left out.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=3
	Dials []DialCount `json:"dials,omitempty"`

	// latency is how long the probes took that were answered, those counted as
	// Reached.
	// +optional
	Latency *ProbeLatency `json:"latency,omitempty"`
}

// ProbeCount is how many probes had a result.
type ProbeCount struct {
	// result is Reached, or the reason of the failure.
	// +kubebuilder:validation:MaxLength=64
	Result string `json:"result"`

	// count is the number of probes.
	// +kubebuilder:validation:Minimum=0
	Count int64 `json:"count"`
}

// DialPath is the way that an observer's kernel took a dial of a node port.
//
// +kubebuilder:validation:Enum=Direct;Translated;Unverified
type DialPath string

const (
	// DialDirect: the packets left for the address that was dialled.
	DialDirect DialPath = "Direct"
	// DialTranslated: they left for another address, as with a socket load balancer.
	DialTranslated DialPath = "Translated"
	// DialUnverified: the kernel does not tell. Such a dial counts as direct.
	DialUnverified DialPath = "Unverified"
)

// DialCount is how many dials took a way.
type DialCount struct {
	// path is the way.
	Path DialPath `json:"path"`

	// count is the number of dials.
	// +kubebuilder:validation:Minimum=0
	Count int64 `json:"count"`
}

// ProbeLatency is a histogram of the time from the dial to the end of the
// answer, or to 50 ms after its status line.
type ProbeLatency struct {
	// boundsMilliseconds are the upper bounds of the buckets, in milliseconds,
	// ascending and inclusive: 1, 3, 10, 30, 100, 300, 1000 and 10000.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:Minimum=1
	BoundsMilliseconds []int32 `json:"boundsMilliseconds"`

	// counts are the numbers of probes in each bucket, without those of the
	// buckets below it. The last is of those beyond all bounds.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=9
	// +kubebuilder:validation:items:Minimum=0
	Counts []int64 `json:"counts"`

	// sumMicroseconds is the sum of all times, in microseconds.
	// +kubebuilder:validation:Minimum=0
	SumMicroseconds int64 `json:"sumMicroseconds"`
}
