package reachability

import (
	"math/rand/v2"
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
	refused := everybody
	refused.Failures = []v1alpha1.ProbeFailure{{
		Reason: "ConnectionRefused", Message: "raw error", NodePorts: "31000", Addresses: everybody.Addresses,
	}}
	serving := Endpoints{corev1.IPv4Protocol: {"a": true}}
	ending := Endpoints{corev1.IPv4Protocol: {"a": false}}
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
		"nobody is answered":               {refused, serving, time.Hour, false},
		"nobody is answered, for no pod":   {refused, nil, time.Hour, true},
		"nor by one that ends":             {refused, ending, time.Hour, true},
		"nor so soon":                      {refused, ending, time.Second, true},
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

// TestAgreementFollowsTheReports has reports come, go and go stale at random. What is
// remembered of their agreement must always say what a look at them all would.
func TestAgreementFollowsTheReports(t *testing.T) {
	g := NewWithT(t)
	chance := rand.New(rand.NewPCG(1, 2))
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	m := NewMatrix()
	nodes := make([]Node, 0, 5)
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		nodes = append(nodes, Node{Name: name, Ready: true, Addresses: at(byte(i + 1))})
	}
	m.Know(nodes)
	app := (*subject)(nil).follow(App{
		Service: Service{NodePort: 31000}, ResourceVersion: "7", Period: 5 * time.Second,
		Families:  []corev1.IPFamily{corev1.IPv4Protocol},
		Endpoints: Endpoints{corev1.IPv4Protocol: {"a": true}},
	}, now.Add(-time.Hour))
	seen := map[bool]int{}
	for range 5000 {
		now = now.Add(time.Second)
		observer := nodes[chance.IntN(len(nodes))].Name
		switch chance.IntN(20) {
		case 0:
			m.Know(nodes[:2+chance.IntN(len(nodes)-1)])
		case 1:
			m.Remove(observer)
		case 2:
			now = now.Add(time.Duration(chance.IntN(30)) * time.Second)
			m.Expire(now)
		default:
			_, err := m.Report(anyReport(chance, observer, now), now)
			g.Expect(err).NotTo(HaveOccurred())
		}
		for i := range m.nodes {
			address := m.nodes[i].Addresses[corev1.IPv4Protocol]
			agreement := m.agreement(m.nodes[i].Name, m.sites[address])
			agreed := agreement.reaches(app)
			answered, rest := 0, 0
			for _, entry := range m.observers[address] {
				if !entry.alive || entry.stale || entry.name == m.nodes[i].Name {
					continue
				}
				if entry.about(address, app) == reached {
					answered++
				} else {
					rest++
				}
			}
			seen[agreed]++
			if agreed {
				g.Expect(rest).To(BeZero())
				g.Expect(agreement.observers).To(Equal(answered))
			}
		}
	}
	g.Expect(seen[true]).To(BeNumerically(">", 500))
	g.Expect(seen[false]).To(BeNumerically(">", 500))
}

// anyReport is most often one of an observer that reaches everything.
func anyReport(chance *rand.Rand, observer string, now time.Time) *v1alpha1.NodeReachability {
	status := v1alpha1.NodeReachabilityStatus{
		RenewTime: new(metav1.NewMicroTime(now)), ServicesResourceVersion: "7",
		Addresses: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}[chance.IntN(2):], NodePorts: "31000",
	}
	switch chance.IntN(20) {
	case 0:
		status.NodePorts = "31000-31001"
	case 1:
		status.NodePorts = "31001"
	case 2:
		status.ServicesResourceVersion = "6"
	case 3:
		status.ServicesResourceVersion = "10"
	case 4:
		status.Failures = []v1alpha1.ProbeFailure{{Reason: "Timeout", NodePorts: "31000", Addresses: status.Addresses[:1]}}
	case 5:
		status.Pending = []v1alpha1.PendingProbes{{NodePorts: "31000", Addresses: status.Addresses[1:2]}}
	}
	return &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: observer},
		Spec:       v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10, ClusterSize: 16},
		Status:     status,
	}
}
