package v1alpha1

import corev1 "k8s.io/api/core/v1"

// Outside reports whether the observer is outside of the cluster. An object that a Node
// owns is that Node's, whatever its labels say.
func (r *NodeReachability) Outside() bool {
	return r.Labels[VantageLabel] == VantageOutside && !r.ownedByNode()
}

func (r *NodeReachability) ownedByNode() bool {
	for i := range r.OwnerReferences {
		owner := &r.OwnerReferences[i]
		if owner.APIVersion == corev1.SchemeGroupVersion.String() && owner.Kind == "Node" {
			return true
		}
	}
	return false
}
