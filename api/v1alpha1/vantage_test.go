package v1alpha1_test

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

func TestOutside(t *testing.T) {
	outside := map[string]string{"exposedapp.dev/vantage": "outside"}
	owner := func(version, kind string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: "a", UID: "1"}}
	}
	for name, c := range map[string]struct {
		labels map[string]string
		owners []metav1.OwnerReference
		want   bool
	}{
		"labelled by an admin":                   {outside, nil, true},
		"without the label":                      {nil, nil, false},
		"with another vantage":                   {map[string]string{"exposedapp.dev/vantage": "inside"}, nil, false},
		"labelled, but a Node's":                 {outside, owner("v1", "Node"), false},
		"labelled, and owned by something else":  {outside, owner("apps/v1", "Deployment"), true},
		"labelled, and owned by another's nodes": {outside, owner("example.com/v1", "Node"), true},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.NodeReachability{ObjectMeta: metav1.ObjectMeta{Labels: c.labels, OwnerReferences: c.owners}}
			NewWithT(t).Expect(object.Outside()).To(Equal(c.want))
		})
	}
}
