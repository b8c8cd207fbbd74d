package reachability

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// TestPlainSaysWhatJudgeSays compares the two ways to the same verdict.
func TestPlainSaysWhatJudgeSays(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	everybody := v1alpha1.NodeReachabilityStatus{
		RenewTime: new(metav1.NewMicroTime(now)), ServicesResourceVersion: "7",
		Addresses: []string{"10.0.0.1", "10.0.0.2"}, NodePorts: "31000",
	}
	nobody := everybody
	nobody.NodePorts = ""
	serving := Endpoints{corev1.IPv4Protocol: {"a": true}}
	for name, c := range map[string]struct {
		says      v1alpha1.NodeReachabilityStatus
		endpoints Endpoints
		age       time.Duration
		plain     bool
	}{
		"all answer":                       {everybody, serving, time.Hour, true},
		"all answer for no pod":            {everybody, nil, time.Hour, false},
		"nobody has a word yet":            {nobody, serving, time.Second, true},
		"nobody has a word, nor a pod yet": {nobody, nil, time.Second, true},
		"nobody ever had a word":           {nobody, serving, time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			m := NewMatrix()
			m.Know([]Node{{Name: "a", Ready: true, Addresses: at(1)}, {Name: "b", Ready: true, Addresses: at(2)}})
			for _, observer := range []string{"a", "b", "gone"} {
				_, err := m.Report(&v1alpha1.NodeReachability{
					ObjectMeta: metav1.ObjectMeta{Name: observer},
					Spec:       v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10, ClusterSize: 16},
					Status:     c.says,
				}, now)
				g.Expect(err).NotTo(HaveOccurred())
			}
			app := (*subject)(nil).follow(App{
				Service: Service{NodePort: 31000}, ResourceVersion: "7",
				Families: []corev1.IPFamily{corev1.IPv4Protocol}, Period: 5 * time.Second,
				Endpoints: c.endpoints,
			}, now.Add(-c.age))
			for i := range m.nodes {
				plain, plainHolds, ok := m.plain(app, &m.nodes[i], corev1.IPv4Protocol, now)
				g.Expect(ok).To(Equal(c.plain))
				if !c.plain {
					continue
				}
				words := m.words(app, &m.nodes[i], corev1.IPv4Protocol, now)
				judged, holds := judge(app, &m.nodes[i], corev1.IPv4Protocol, words, now)
				g.Expect(plain).To(Equal(judged))
				g.Expect(plainHolds).To(Equal(holds))
			}
		})
	}
}

func at(i byte) map[corev1.IPFamily]netip.Addr {
	return map[corev1.IPFamily]netip.Addr{corev1.IPv4Protocol: netip.AddrFrom4([4]byte{10, 0, 0, i})}
}
