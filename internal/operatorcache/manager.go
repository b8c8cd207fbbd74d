package operatorcache

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/internal/ssa"
	"github.com/exposedapp/exposedapp/internal/trouble"
)

// maxManager bounds a field manager's name, which others choose.
const maxManager = 64

// replicasManager returns who set the replicas of a Deployment last, if that was not the
// operator. Whoever sets another value takes the field away from all others.
func replicasManager(live *appsv1.Deployment, fields ssa.FieldSets) (manager string) {
	replicas := fieldpath.MakePathOrDie("spec", "replicas")
	for _, entry := range live.ManagedFields {
		if entry.FieldsV1 == nil || entry.Subresource == "status" {
			continue
		}
		owned, err := fields.Read(entry.FieldsV1)
		if err != nil || !owned.Has(replicas) {
			continue
		}
		if ssa.OwnEntry(entry) {
			return ""
		}
		manager = managerName(entry)
	}
	return manager
}

func managerName(entry metav1.ManagedFieldsEntry) string {
	if entry.Manager == "kube-controller-manager" && entry.Subresource == "scale" {
		return "a HorizontalPodAutoscaler (kube-controller-manager)"
	}
	return fmt.Sprintf("%q", trouble.Clean(entry.Manager, maxManager))
}
