package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NodeReachability is one node's view of the node ports of the cluster. It
// carries the name of its Node and is owned by it.
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

	// targets are the nodes whose node ports are dialled, this node included.
	// +optional
	// +listType=map
	// +listMapKey=node
	// +kubebuilder:validation:MaxItems=32
	Targets []Target `json:"targets,omitempty"`
}

// Target is a node to dial.
type Target struct {
	// node is the name of the Node.
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node"`

	// addresses are the node's addresses, at most one per IP family.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses,omitempty"`
}

// NodeReachabilityStatus is a report: every node port in nodePorts was reached
// on every address in addresses, but for what failures and pending name.
type NodeReachabilityStatus struct {
	// observedGeneration is the metadata.generation whose targets were dialled.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// renewTime is when the agent last wrote the report, by the node's clock.
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
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses,omitempty"`

	// nodePorts are the node ports that were dialled, as ascending ranges, such
	// as 30000-30010,31000.
	// +optional
	// +kubebuilder:validation:MaxLength=20000
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

	// nodePorts are the node ports, as ascending ranges.
	// +kubebuilder:validation:MaxLength=20000
	NodePorts string `json:"nodePorts"`

	// addresses are the node addresses.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses"`
}

// PendingProbes are node ports without a result: each of nodePorts on each of
// addresses.
type PendingProbes struct {
	// nodePorts are the node ports, as ascending ranges.
	// +kubebuilder:validation:MaxLength=20000
	NodePorts string `json:"nodePorts"`

	// addresses are the node addresses.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses"`
}
