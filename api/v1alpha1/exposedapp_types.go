package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ExposedApp is an app behind a node port, with the verdict of every node on
// whether NodeIP:NodePort answers.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.app.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:shortName=xapp,categories=all
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="NodePort",type=integer,JSONPath=`.status.nodePort`
// +kubebuilder:printcolumn:name="Replicas",type=string,JSONPath=`.status.replicasSummary`
// +kubebuilder:printcolumn:name="Reachable",type=string,JSONPath=`.status.reachability.summary`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",message="metadata.name must be a DNS-1035 label (at most 63 lower case letters, digits and '-', first a letter): the Service carries the same name"
type ExposedApp struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the user wants. Every field has a default.
	// +optional
	// +kubebuilder:default={}
	Spec ExposedAppSpec `json:"spec,omitempty"`

	// status is what the operator found.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ExposedAppStatus `json:"status,omitempty"`
}

// ExposedAppList is a list of ExposedApps.
//
// +kubebuilder:object:root=true
type ExposedAppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ExposedApp `json:"items"`
}

// ExposedAppSpec is an app, the node port that exposes it, and how its
// reachability is judged.
type ExposedAppSpec struct {
	// nodePort is the port on every node. It must lie in the node port range of
	// the cluster, by default 30000-32767. When omitted, Kubernetes picks a free
	// one, which the app keeps for life; it is shown in status.nodePort.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort *int32 `json:"nodePort,omitempty"`

	// app is the workload behind the node port.
	// +optional
	// +kubebuilder:default={}
	App AppSpec `json:"app,omitempty"`

	// service is how the workload is exposed.
	// +optional
	// +kubebuilder:default={}
	Service ServiceSpec `json:"service,omitempty"`

	// probe is the request that every observer makes.
	// +optional
	// +kubebuilder:default={}
	Probe ProbeSpec `json:"probe,omitempty"`

	// minReachable is how many of the nodes that are expected to answer must
	// answer for the app to be Ready: a number, or a percentage of the expected
	// nodes, rounded up. 0 leaves reachability out of Ready.
	// +optional
	// +kubebuilder:default="100%"
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 2147483647 : self.matches('^(100|[1-9]?[0-9])%$')",message="spec.minReachable must be a number of nodes, from 0 to 2147483647, or a percentage from 0% to 100%"
	MinReachable *intstr.IntOrString `json:"minReachable,omitempty"`

	// expectedNodes are the labels of the nodes that are expected to answer. Other
	// nodes are listed with the reason NodeExcluded, and do not count. When omitted,
	// all nodes are expected to, but for those that the operator's --expected-nodes
	// leaves out.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || self.matchLabels.all(k, size(k) <= 317 && k.indexOf('/') <= 253 && k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="spec.expectedNodes.matchLabels must have the keys of labels: at most 63 letters, digits, '-', '_' and '.', after a DNS name and '/' if need be"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.key.indexOf('/') <= 253)",message="spec.expectedNodes.matchExpressions must have the keys of labels: before '/' at most 253 characters"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, (e.operator in ['In', 'NotIn']) == (has(e.values) && size(e.values) > 0))",message="spec.expectedNodes.matchExpressions must have values with the operators In and NotIn, and none with Exists and DoesNotExist"
	ExpectedNodes *metav1.LabelSelector `json:"expectedNodes,omitempty"`

	// suspend stops the operator from touching the Deployment and the Service.
	// They stay as they are, and the status goes on to tell the truth.
	// +optional
	// +kubebuilder:default=false
	Suspend *bool `json:"suspend,omitempty"`
}

// AppSpec is one container, run by a Deployment.
type AppSpec struct {
	// image is the container image. Defaults to podinfo.
	// +optional
	// +kubebuilder:default="ghcr.io/stefanprodan/podinfo:6.9.2"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// imagePullPolicy is when the kubelet pulls the image. When omitted,
	// Kubernetes chooses by the image's tag.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`

	// imagePullSecrets are the names of Secrets in the same namespace with which
	// the kubelet pulls the image. The operator itself reads no Secret.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// replicas is the number of pods.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Replicas *int32 `json:"replicas,omitempty"`

	// containerPort is the TCP port on which the container serves HTTP.
	// +optional
	// +kubebuilder:default=9898
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	ContainerPort int32 `json:"containerPort,omitempty"`

	// livenessPath is the HTTP path of the container's liveness probe. The empty
	// string leaves the probe out.
	// +optional
	// +kubebuilder:default="/healthz"
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^(/.*)?$`
	LivenessPath *string `json:"livenessPath,omitempty"`

	// readinessPath is the HTTP path of the container's readiness probe. The
	// empty string leaves the probe out.
	// +optional
	// +kubebuilder:default="/readyz"
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^(/.*)?$`
	ReadinessPath *string `json:"readinessPath,omitempty"`

	// args are the arguments of the image's entrypoint, with at most 16384
	// characters in all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=4096
	// +kubebuilder:validation:XValidation:rule="self.map(arg, size(arg)).sum() <= 16384",message="spec.app.args must have at most 16384 characters in all: put what is longer into a ConfigMap"
	Args []string `json:"args,omitempty"`

	// env is the environment of the container. PODINFO_UI_MESSAGE is set to the
	// name of the node unless it is set here. Names and values have at most 16384
	// characters in all.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:XValidation:rule="self.map(e, size(e.name) + (has(e.value) ? size(e.value) : 0)).sum() <= 16384",message="spec.app.env must have at most 16384 characters in names and values in all: put what is longer into a ConfigMap"
	Env []corev1.EnvVar `json:"env,omitempty"`

	// resources are the container's requests and limits.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.limits) || self.limits.all(k, size(k) <= 317)",message="spec.app.resources.limits must have names of at most 317 characters"
	// +kubebuilder:validation:XValidation:rule="!has(self.requests) || self.requests.all(k, size(k) <= 317)",message="spec.app.resources.requests must have names of at most 317 characters"
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// securityContext is the container's security context. What is omitted of
	// allowPrivilegeEscalation is false, of capabilities.drop is ALL (an empty list
	// drops none), and of seccompProfile is the runtime's default. The container
	// runs as the user that its image names. A namespace that enforces the pod
	// security level restricted asks for runAsNonRoot: true, and for runAsUser as
	// well where the image names its user by name.
	// +optional
	SecurityContext *corev1.SecurityContext `json:"securityContext,omitempty"`

	// nodeSelector are the labels that a node must carry to run the pods.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317)",message="spec.app.nodeSelector must have keys of at most 317 characters"
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations are the taints that the pods tolerate.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// ServiceSpec is the NodePort Service in front of the app.
type ServiceSpec struct {
	// port is the Service's port on its cluster IP.
	// +optional
	// +kubebuilder:default=80
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// externalTrafficPolicy is Cluster, by which every node forwards to every
	// pod, or Local, by which a node forwards only to its own pods, keeps the
	// client's address, and drops what it has no ready pod for.
	// +optional
	// +kubebuilder:default=Cluster
	// +kubebuilder:validation:Enum=Cluster;Local
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// ipFamilyPolicy is how many IP families the Service has.
	// +optional
	// +kubebuilder:default=SingleStack
	// +kubebuilder:validation:Enum=SingleStack;PreferDualStack;RequireDualStack
	IPFamilyPolicy corev1.IPFamilyPolicy `json:"ipFamilyPolicy,omitempty"`
}

// ProbeSpec is one HTTP GET of NodeIP:NodePort, on a fresh connection. Any
// 2xx or 3xx answer counts as reached.
//
// +kubebuilder:validation:XValidation:rule="!has(self.timeoutSeconds) || !has(self.periodSeconds) || self.timeoutSeconds <= self.periodSeconds",message="spec.probe.timeoutSeconds, 2 unless set, must not exceed spec.probe.periodSeconds"
type ProbeSpec struct {
	// path is what is fetched.
	// +optional
	// +kubebuilder:default="/"
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^/[!-~]*$`
	Path string `json:"path,omitempty"`

	// periodSeconds is the time between two probes of one node by one observer,
	// in seconds.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	PeriodSeconds int32 `json:"periodSeconds,omitempty"`

	// timeoutSeconds is how long a probe may take, in seconds.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`

	// failureThreshold is how many probes in a row must fail before an observer
	// says that a node does not answer. One success is enough to say that it
	// does.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	FailureThreshold int32 `json:"failureThreshold,omitempty"`
}

// ExposedAppStatus is what the operator found. It is written on change only.
type ExposedAppStatus struct {
	// observedGeneration is the metadata.generation that the status describes,
	// -1 before the operator saw the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// nodePort is the port that is allocated, 0 while there is none.
	// +optional
	NodePort int32 `json:"nodePort,omitempty"`

	// replicas is the number of pods that exist.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas is the number of pods that are ready.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// replicasSummary is readyReplicas and the wanted replicas, as in 2/3.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ReplicasSummary string `json:"replicasSummary,omitempty"`

	// selector is the label selector of the pods, for the scale subresource.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Selector string `json:"selector,omitempty"`

	// reachability counts the nodes that are expected to answer and those that
	// do. With two IP families a node counts once in each.
	// +optional
	Reachability *ReachabilitySummary `json:"reachability,omitempty"`

	// nodes are the verdicts, one per node and IP family. At most 24 are listed,
	// and fewer where names and messages are long, the worst first; nodesOmitted
	// counts the rest. Where there is no room for all, nodes that just answer are
	// not listed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=24
	Nodes []NodeVerdict `json:"nodes,omitempty"`

	// nodesOmitted is the number of verdicts that nodes leaves out.
	// +optional
	NodesOmitted int32 `json:"nodesOmitted,omitempty"`

	// conditions are Ready, Available, PortAllocated and Reachable, always, and
	// Reconciling or Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ReachabilitySummary counts verdicts.
type ReachabilitySummary struct {
	// expected is the number of nodes that should answer.
	Expected int32 `json:"expected"`

	// reachable is the number of expected nodes that do answer.
	Reachable int32 `json:"reachable"`

	// summary is reachable and expected, as in 2/3.
	// +kubebuilder:validation:MaxLength=32
	Summary string `json:"summary"`
}

// NodeState is whether a node answers on the node port.
//
// +kubebuilder:validation:Enum=Reachable;Unreachable;Unknown
type NodeState string

const (
	// NodeReachable means that every observer with a fresh word on it got an answer.
	NodeReachable NodeState = "Reachable"
	// NodeUnreachable means that at least one observer got none.
	NodeUnreachable NodeState = "Unreachable"
	// NodeUnknown means that no fresh report tells.
	NodeUnknown NodeState = "Unknown"
)

// NodeVerdict is whether one node answers in one IP family, and if not, why.
type NodeVerdict struct {
	// node is the name of the Node.
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node"`

	// family is the IP family, IPv4 or IPv6.
	// +kubebuilder:validation:Enum=IPv4;IPv6
	Family corev1.IPFamily `json:"family"`

	// address is the node's address that was dialled.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	Address string `json:"address,omitempty"`

	// expected is whether the node should answer. Nodes that should not are
	// listed with the reason, and do not count.
	Expected bool `json:"expected"`

	// state is what the observers found.
	State NodeState `json:"state"`

	// reason tells why the node does not answer or is not expected to.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message is the raw error of the dial and what to do next.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`

	// observers is the number of observers that reached the node and of those
	// that have a fresh report about it, as in 2/2. A node's own word counts
	// only where there is no other node.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Observers string `json:"observers,omitempty"`

	// outside is the number of observers outside of the cluster that reached the node
	// and of those that have a fresh word on it, as in 1/1. It is empty where there
	// are none.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Outside string `json:"outside,omitempty"`

	// lastTransitionTime is when state last changed, or when the node came back
	// into the list.
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty"`
}
