package agent

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

func TestAssignmentOf(t *testing.T) {
	g := NewWithT(t)
	a := assignmentOf(&v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{UID: "1", Generation: 3},
		Spec: v1alpha1.NodeReachabilitySpec{
			HeartbeatSeconds: 30,
			ClusterSize:      20,
			Targets: []v1alpha1.Target{
				{Node: "b", Turn: 1, Addresses: []string{"10.0.0.2", "fd00::2"}},
				{Node: "a", Turn: 4, Addresses: []string{"10.0.0.1"}},
				{Node: "again", Turn: 1, Addresses: []string{"10.0.0.2"}},
				{Node: "mapped", Addresses: []string{"::ffff:10.0.0.3"}},
				{Node: "empty"},
				{Node: "evil", Addresses: []string{
					"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::",
					"169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1", "fd00::1%eth0", "10.0.0", "node.example",
				}},
			},
		},
	})
	g.Expect(a.generation).To(BeEquivalentTo(3))
	g.Expect(a.Heartbeat).To(Equal(30 * time.Second))
	g.Expect(a.Addresses).To(Equal(addresses("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::2")))
	g.Expect(a.refused).To(HaveLen(13))
	g.Expect(a.Size).To(Equal(20))
	fifth := float64(1<<32) / 5
	g.Expect(a.Turns).To(HaveKeyWithValue(netip.MustParseAddr("10.0.0.2"), BeNumerically("~", fifth, 1)), "of the period")
	g.Expect(a.Turns).To(HaveKeyWithValue(netip.MustParseAddr("10.0.0.1"), BeNumerically("~", 4*fifth, 1)))
}

func TestAssignmentOfDefaults(t *testing.T) {
	g := NewWithT(t)
	a := assignmentOf(&v1alpha1.NodeReachability{})
	g.Expect(a.Heartbeat).To(Equal(10 * time.Second))
	g.Expect(a.Addresses).To(BeEmpty())
}
