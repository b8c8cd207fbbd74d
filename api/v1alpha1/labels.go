package v1alpha1

const (
	// ManagedByLabel and ManagedByValue mark every object that the operator
	// creates.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedByValue = "exposedapp"

	// NameLabel selects the pods of an ExposedApp; its value is the
	// ExposedApp's name.
	NameLabel = "exposedapp.dev/name"

	// AppLabel is the familiar app label on every child. It selects nothing: a
	// foreign pod may carry it.
	AppLabel = "app"

	// ProbeAnnotation carries the ExposedApp's spec.probe on its Service as
	// JSON, so that agents need not watch ExposedApps.
	ProbeAnnotation = "exposedapp.dev/probe"

	// PortName is the name of the port of a Service that is the ExposedApp's. Others may
	// add ports to the Service, before it and after it.
	PortName = "http"

	// OperatorName and AgentName are the two programs: field owners, user
	// agents and Event sources.
	OperatorName = "exposedapp-operator"
	AgentName    = "exposedapp-agent"

	// VantageLabel on a NodeReachability, with the value VantageOutside, says that its
	// observer is outside of the cluster.
	VantageLabel   = "exposedapp.dev/vantage"
	VantageOutside = "outside"
)
