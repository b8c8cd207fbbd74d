package workload

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// ServiceConflicts returns the ports of a live Service that cannot be there beside the
// app's own: those of its name, and of its node port. Others are left alone.
func ServiceConflicts(live *corev1.Service, app *v1alpha1.ExposedApp, nodePort int32) *fieldpath.Set {
	found := fieldpath.NewSet()
	for _, port := range live.Spec.Ports {
		protocol := protocolOf(port.Protocol)
		own := port.Port == app.Spec.Service.Port && protocol == corev1.ProtocolTCP
		sameNodePort := nodePort != 0 && port.NodePort == nodePort && protocol == corev1.ProtocolTCP
		if !own && (port.Name == portName || sameNodePort) {
			found.Insert(fieldpath.MakePathOrDie("spec", "ports", servicePortKey(port.Port, protocol)))
		}
	}
	return found
}

// OthersServicePort reports whether a field of a Service is of a port that others added.
func OthersServicePort(app *v1alpha1.ExposedApp) func(fieldpath.Path) bool {
	own := fieldpath.MakePathOrDie("spec", "ports", servicePortKey(app.Spec.Service.Port, corev1.ProtocolTCP))
	return func(path fieldpath.Path) bool {
		return len(path) > 2 && path[:2].Equals(own[:2]) && !path[:3].Equals(own)
	}
}

func servicePortKey(port int32, protocol corev1.Protocol) any {
	return fieldpath.KeyByFields("port", int64(port), "protocol", string(protocol))
}

// DeploymentConflicts returns what of a live Deployment cannot be there beside what is
// declared. owned are the fields that the operator applied.
func DeploymentConflicts(live *appsv1.Deployment, app *v1alpha1.ExposedApp, owned *fieldpath.Set) *fieldpath.Set {
	found := fieldpath.NewSet()
	containers := fieldpath.MakePathOrDie("spec", "template", "spec", "containers")
	for i := range live.Spec.Template.Spec.Containers {
		there := &live.Spec.Template.Spec.Containers[i]
		path := under(containers, fieldpath.KeyByFields("name", there.Name))
		switch {
		case there.Name == containerName:
			containerConflicts(found, path, there, app, owned)
		case slices.ContainsFunc(there.Ports, func(port corev1.ContainerPort) bool {
			return port.ContainerPort == app.Spec.App.ContainerPort && protocolOf(port.Protocol) == corev1.ProtocolTCP
		}):
			// The app's, by another name: two in a pod cannot listen on the same port.
			found.Insert(path)
		}
	}
	return found
}

// containerConflicts adds what of a live container cannot be there beside what is declared
// of it.
func containerConflicts(
	found *fieldpath.Set, path fieldpath.Path, there *corev1.Container, app *v1alpha1.ExposedApp, owned *fieldpath.Set,
) {
	for _, port := range there.Ports {
		protocol := protocolOf(port.Protocol)
		own := port.ContainerPort == app.Spec.App.ContainerPort && protocol == corev1.ProtocolTCP
		if !own && port.Name == portName {
			found.Insert(under(path, "ports", fieldpath.KeyByFields(
				"containerPort", int64(port.ContainerPort), "protocol", string(protocol))))
		}
	}
	wanted, live := treeOf(container(&app.Spec.App)), treeOf(there)
	for name, variable := range itemsByName(wanted["env"]) {
		addOthers(found, under(path, "env", fieldpath.KeyByFields("name", name)), itemsByName(live["env"])[name], variable)
	}
	for _, probe := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		probeConflicts(found, under(path, probe), mapIn(live, probe), mapIn(wanted, probe), owned)
	}
	for _, profile := range []string{"seccompProfile", "appArmorProfile"} {
		if declared := mapIn(mapIn(wanted, "securityContext"), profile); declared != nil {
			addOthers(found, under(path, "securityContext", profile), mapIn(mapIn(live, "securityContext"), profile), declared)
		}
	}
	resourceConflicts(found, under(path, "resources"), &there.Resources, app.Spec.App.Resources)
}

// probeConflicts adds the other ways of a probe. What is left of one that is no longer
// declared is none.
func probeConflicts(found *fieldpath.Set, path fieldpath.Path, live, wanted map[string]any, owned *fieldpath.Set) {
	switch {
	case live == nil:
	case wanted != nil:
		for _, way := range []string{"exec", "grpc", "httpGet", "tcpSocket"} {
			if live[way] != nil && wanted[way] == nil {
				found.Insert(under(path, way))
			}
		}
	case owned.Has(under(path, "httpGet", "path")):
		found.Insert(path)
	}
}

// resourceConflicts adds the limits that others set below what is declared to be
// requested, and the requests beyond the declared limits.
func resourceConflicts(found *fieldpath.Set, path fieldpath.Path, live, wanted *corev1.ResourceRequirements) {
	if wanted == nil {
		return
	}
	for name, limit := range live.Limits {
		request, asked := wanted.Requests[name]
		if _, own := wanted.Limits[name]; asked && !own && limit.Cmp(request) < 0 {
			found.Insert(under(path, "limits", string(name)))
		}
	}
	for name, request := range live.Requests {
		limit, limited := wanted.Limits[name]
		if _, own := wanted.Requests[name]; limited && !own && request.Cmp(limit) > 0 {
			found.Insert(under(path, "requests", string(name)))
		}
	}
}

// PodPropagation is what becomes of the pods of a Deployment that is replaced. Those that the
// next one selects go on to serve until it has others; nobody would ever end the rest.
func PodPropagation(live *appsv1.Deployment, app *v1alpha1.ExposedApp) metav1.DeletionPropagation {
	if labels.SelectorFromSet(Selector(app)).Matches(labels.Set(live.Spec.Template.Labels)) {
		return metav1.DeletePropagationOrphan
	}
	return metav1.DeletePropagationBackground
}

// addOthers adds what is in one map and not in another, at any depth.
func addOthers(found *fieldpath.Set, path fieldpath.Path, live, wanted map[string]any) {
	for name, value := range live {
		declared, both := wanted[name]
		if !both {
			found.Insert(under(path, name))
			continue
		}
		inner, isMap := value.(map[string]any)
		if want, ok := declared.(map[string]any); ok && isMap {
			addOthers(found, under(path, name), inner, want)
		}
	}
}

// under returns the path of something below another.
func under(path fieldpath.Path, parts ...any) fieldpath.Path {
	return append(path.Copy(), fieldpath.MakePathOrDie(parts...)...)
}

// treeOf returns an object as JSON has it.
func treeOf(object any) map[string]any {
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		// The API's own types always convert.
		panic(err)
	}
	return tree
}

func mapIn(tree map[string]any, name string) map[string]any {
	inner, _ := tree[name].(map[string]any)
	return inner
}

// itemsByName returns the items of a list by their names.
func itemsByName(list any) map[string]map[string]any {
	items, _ := list.([]any)
	byName := make(map[string]map[string]any, len(items))
	for _, item := range items {
		if fields, ok := item.(map[string]any); ok {
			name, _ := fields["name"].(string)
			byName[name] = fields
		}
	}
	return byName
}
