// Package v1alpha1 holds the API of ExposedApp: what a user declares
// (ExposedApp) and what the agent on each node found (NodeReachability).
//
// Every field has one writer. A user writes ExposedApp.spec, the operator its
// status; the operator writes NodeReachability.spec, the agent on that node its
// status.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +kubebuilder:ac:output:package="applyconfiguration"
// +groupName=exposedapp.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is the group and version of the types in this package.
var SchemeGroupVersion = schema.GroupVersion{Group: "exposedapp.dev", Version: "v1alpha1"}

// AddToScheme adds the types of this package to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion,
		&ExposedApp{}, &ExposedAppList{},
		&NodeReachability{}, &NodeReachabilityList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
