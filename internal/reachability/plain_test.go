package reachability

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// TestPlainSaysWhatJudgeSays compares the two ways to the same verdict.
func TestPlainSaysWhatJudgeSays(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	everybody := v1alpha1.NodeReachabilityStatus{
		RenewTime: new(metav1.NewMicroTime(now)), ServicesResourceVersion: "7",
		Addresses: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}, NodePorts: "31000",
	}
	nobody := everybody
	nobody.NodePorts = ""
	refused := everybody
	refused.Failures = []v1alpha1.ProbeFailure{{
		Reason: "ConnectionRefused", Message: "raw error", NodePorts: "31000", Addresses: everybody.Addresses,
	}}
	all := func(says ...v1alpha1.NodeReachabilityStatus) []v1alpha1.NodeReachabilityStatus { return says }
	serving := Endpoints{{Family: corev1.IPv4Protocol, Node: "a", Ready: true}}
	ending := Endpoints{{Family: corev1.IPv4Protocol, Node: "a"}}
	for name, c := range map[string]struct {
		// says is what the observers report, in turns.
		says      []v1alpha1.NodeReachabilityStatus
		endpoints Endpoints
		age       time.Duration
		plain     bool
		// brief is whether it is plain where nobody reads who says so.
		brief bool
	}{
		"all answer":                   {all(everybody), serving, time.Hour, true, true},
		"so they do from the first":    {all(everybody), serving, 0, true, true},
		"all answer for one that ends": {all(everybody), ending, time.Hour, true, true},
		"all answer for no pod":        {all(everybody), nil, time.Hour, false, false},
		"they may have before it went": {all(everybody), nil, time.Second, true, true},
		"nobody has a word yet":        {all(nobody), serving, time.Second, false, false},
		"nobody is answered":           {all(refused), serving, time.Hour, false, false},
		"nobody is, for want of a pod": {all(refused), nil, time.Hour, true, true},
		"nor by a pod that ends":       {all(refused), ending, time.Hour, true, true},
		"the last pod has just gone":   {all(refused), nil, time.Second, false, false},
		"some are answered":            {all(everybody, refused), serving, time.Hour, false, false},
		"some are, by no pod":          {all(everybody, refused), nil, time.Hour, false, true},
		"no word, or none by no pod":   {all(nobody, refused), nil, time.Hour, false, true},
		"some just are, by no pod":     {all(everybody, refused), nil, time.Second, false, false},
		"some have no word yet":        {all(everybody, nobody), serving, time.Hour, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			m := NewMatrix()
			m.Know([]Node{
				{Name: "a", Ready: true, Addresses: at(1)}, {Name: "b", Ready: true, Addresses: at(2)},
				{Name: "c", Ready: true, Addresses: at(3)}, {Name: "d", Ready: true, Addresses: at(4)},
			})
			for i, observer := range []string{"a", "b", "c", "d", "gone"} {
				_, err := m.Report(&v1alpha1.NodeReachability{
					ObjectMeta: metav1.ObjectMeta{Name: observer},
					Spec:       v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10, ClusterSize: 16},
					Status:     c.says[i%len(c.says)],
				}, now)
				g.Expect(err).NotTo(HaveOccurred())
			}
			app := (*subject)(nil).follow(App{
				Service: Service{NodePort: 31000}, ResourceVersion: "7",
				Families: []corev1.IPFamily{corev1.IPv4Protocol}, Period: 5 * time.Second,
				Endpoints: c.endpoints,
			}, now.Add(-c.age))
			for i := range m.nodes {
				for _, unread := range []unread{{}, {unreachable: true, rest: true}} {
					plain, lasts, ok := m.plain(app, &m.nodes[i], corev1.IPv4Protocol, unread, now)
					g.Expect(ok).To(Equal(c.plain || c.brief && unread.unreachable))
					if !ok {
						continue
					}
					words := m.words(app, &m.nodes[i], corev1.IPv4Protocol, unread, now)
					judged, holds := judge(app, &m.nodes[i].Node, corev1.IPv4Protocol, words, now)
					if plain.State == v1alpha1.NodeReachable {
						// That costs nothing, and is not listed.
						plain.Observers, judged.Observers = "", ""
					}
					g.Expect(plain).To(Equal(judged))
					g.Expect(lasts).To(Equal(holds))
				}
			}
		})
	}
}

func at(i byte) map[corev1.IPFamily]netip.Addr {
	return map[corev1.IPFamily]netip.Addr{corev1.IPv4Protocol: netip.AddrFrom4([4]byte{10, 0, 0, i})}
}

// TestAgreementFollowsTheReports has reports come, go and go stale at random. What is
// remembered of their agreement, and of who may be heard, must always say what a look at
// them all would.
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
		Endpoints: Endpoints{{Family: corev1.IPv4Protocol, Node: "a", Ready: true}},
	}, now.Add(-time.Hour))
	web := types.NamespacedName{Name: "web"}
	m.apps[web] = app
	seen, disputes, remembered, isolated := map[word]int{}, 0, 0, 0
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
			said := [3]int{}
			for _, entry := range m.observers[address] {
				if !entry.alive || entry.stale || entry.name == m.nodes[i].Name {
					continue
				}
				said[entry.about(address, app)]++
			}
			all := said[silent] + said[reached] + said[failed]
			g.Expect(agreement.observers).To(BeElementOf(0, all))
			g.Expect(agreement.reaches(app)).To(Equal(all > 0 && said[reached] == all))
			g.Expect(agreement.fails(app)).To(Equal(all > 0 && said[failed] == all))
			if agreement.disputes(app) {
				disputes++
				g.Expect(said[failed]).To(And(BeNumerically(">", 0), BeNumerically("<", all)))
			}
			switch {
			case agreement.reaches(app):
				seen[reached]++
			case agreement.fails(app):
				seen[failed]++
			default:
				seen[silent]++
			}
		}
		m.AppendVerdicts(nil, web, now)
		g.Expect(m.doubted).To(HaveLen(len(app.doubts)))
		g.Expect(m.doubted).To(Or(BeEmpty(), HaveEach(1)))
		g.Expect(m.dated).To(Equal(len(app.failing)))
		remembered = max(remembered, len(app.doubts)+len(app.failing))
		for _, entry := range m.reports {
			disputed := slices.DeleteFunc(slices.Clone(entry.addresses), func(address netip.Addr) bool {
				return m.doubted[address] == 0
			})
			g.Expect(entry.disputed).To(Equal(len(disputed)))
			if !entry.standing.examined {
				continue
			}
			anew := m.examine(entry)
			anew.examined = true
			g.Expect(entry.standing).To(Equal(anew))
			if anew.isolated {
				isolated++
			}
		}
	}
	g.Expect(remembered).To(BeNumerically(">", 2))
	g.Expect(disputes).To(BeNumerically(">", 100))
	g.Expect(isolated).To(BeNumerically(">", 100))
	for _, said := range []word{silent, reached, failed} {
		g.Expect(seen[said]).To(BeNumerically(">", 100))
	}
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
	case 5, 6, 7, 8:
		status.Failures = []v1alpha1.ProbeFailure{{Reason: "Timeout", NodePorts: "31000", Addresses: status.Addresses}}
	case 9:
		status.Pending = []v1alpha1.PendingProbes{{NodePorts: "31000", Addresses: status.Addresses[1:2]}}
	}
	return &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: observer},
		Spec:       v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10, ClusterSize: 16},
		Status:     status,
	}
}
