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
	"github.com/exposedapp/exposedapp/internal/protocol"
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
	translated, hosted := everybody, everybody
	translated.Pending = []v1alpha1.PendingProbes{{
		Reason: "TranslatedAtSource", TranslatedTo: "10.244.1.7:9898", NodePorts: "31000", Addresses: everybody.Addresses,
	}}
	hosted.Pending = []v1alpha1.PendingProbes{{Reason: "OwnAddress", NodePorts: "31000", Addresses: everybody.Addresses}}
	all := func(says ...v1alpha1.NodeReachabilityStatus) []v1alpha1.NodeReachabilityStatus { return says }
	serving := Endpoints{{Family: corev1.IPv4Protocol, Node: "a", Ready: true}}
	ending := Endpoints{{Family: corev1.IPv4Protocol, Node: "a"}}
	for name, c := range map[string]struct {
		// says is what the observers report, in turns.
		says      []v1alpha1.NodeReachabilityStatus
		endpoints Endpoints
		age       time.Duration
		plain     bool
		// brief is whether it is plain where nobody reads who says so of an unreachable
		// node.
		brief bool
		// unknown is whether it is plain where nobody reads that of an unknown one, and
		// outside what an observer out of the cluster says.
		unknown bool
		outside *v1alpha1.NodeReachabilityStatus
	}{
		"all answer":                   {says: all(everybody), endpoints: serving, age: time.Hour, plain: true, brief: true},
		"so they do from the first":    {says: all(everybody), endpoints: serving, plain: true, brief: true},
		"all answer for one that ends": {says: all(everybody), endpoints: ending, age: time.Hour, plain: true, brief: true},
		"all answer for no pod":        {says: all(everybody), age: time.Hour},
		"they may have before it went": {says: all(everybody), age: time.Second, plain: true, brief: true},
		"nobody has a word yet":        {says: all(nobody), endpoints: serving, age: time.Second},
		"nobody is answered":           {says: all(refused), endpoints: serving, age: time.Hour},
		"nobody is, for want of a pod": {says: all(refused), age: time.Hour, plain: true, brief: true},
		"nor by a pod that ends":       {says: all(refused), endpoints: ending, age: time.Hour, plain: true, brief: true},
		"the last pod has just gone":   {says: all(refused), age: time.Second},
		"some are answered":            {says: all(everybody, refused), endpoints: serving, age: time.Hour},
		"some are, by no pod":          {says: all(everybody, refused), age: time.Hour, brief: true},
		"no word, or none by no pod":   {says: all(nobody, refused), age: time.Hour, brief: true},
		"some just are, by no pod":     {says: all(everybody, refused), age: time.Second},
		"some have no word yet":        {says: all(everybody, nobody), endpoints: serving, age: time.Hour},
		"all dials are translated":     {says: all(translated), endpoints: serving, age: time.Hour, unknown: true},
		"so they are from the first":   {says: all(translated), endpoints: serving, unknown: true},
		"they are, with no pod":        {says: all(translated), age: time.Hour, unknown: true},
		"some are":                     {says: all(everybody, translated), endpoints: serving, age: time.Hour},
		"some are, others fail":        {says: all(refused, translated), endpoints: serving, age: time.Hour},
		"the same, with no pod":        {says: all(refused, translated), age: time.Hour, brief: true},
		"some are, others wait":        {says: all(nobody, translated), endpoints: serving, age: time.Hour},
		"it is everybody's own":        {says: all(hosted), endpoints: serving, age: time.Hour},
		"it is that of some":           {says: all(everybody, hosted), endpoints: serving, age: time.Hour},
		"outside as well":              {says: all(everybody), endpoints: serving, age: time.Hour, outside: &everybody},
		"but not outside":              {says: all(everybody), endpoints: serving, age: time.Hour, outside: &refused},
		"outside alone":                {says: all(translated), endpoints: serving, age: time.Hour, outside: &everybody},
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
					Spec:       specOfAll(),
					Status:     c.says[i%len(c.says)],
				}, now)
				g.Expect(err).NotTo(HaveOccurred())
			}
			if c.outside != nil {
				_, err := m.Report(&v1alpha1.NodeReachability{
					ObjectMeta: metav1.ObjectMeta{
						Name: "lab", Labels: map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside},
					},
					Spec: specOfAll(), Status: *c.outside,
				}, now)
				g.Expect(err).NotTo(HaveOccurred())
			}
			app := (*subject)(nil).follow(App{
				Service: Service{NodePort: 31000}, ResourceVersion: "7",
				Families: []corev1.IPFamily{corev1.IPv4Protocol}, Period: 5 * time.Second,
				Endpoints: c.endpoints,
			}, now.Add(-c.age))
			for i := range m.nodes {
				for _, unread := range []unread{{}, {rest: true}, {unreachable: true, rest: true}} {
					plain, lasts, ok := m.plain(app, &m.nodes[i], corev1.IPv4Protocol, unread, now)
					g.Expect(ok).To(Equal(c.plain || c.brief && unread.unreachable || c.unknown && unread.rest))
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

// specOfAll has an observer dial all nodes of the tests.
func specOfAll() v1alpha1.NodeReachabilitySpec {
	spec := v1alpha1.NodeReachabilitySpec{HeartbeatSeconds: 10, ClusterSize: 16}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		spec.Targets = append(spec.Targets, v1alpha1.Target{
			Node: name, Addresses: []string{at(byte(i + 1))[corev1.IPv4Protocol].String()},
		})
	}
	return spec
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
	seen, disputes, remembered, isolated := map[protocol.Outcome]int{}, 0, 0, 0
	for range 5000 {
		now = now.Add(time.Second)
		observer := nodes[chance.IntN(len(nodes))].Name
		switch chance.IntN(21) {
		case 0:
			m.Know(nodes[:2+chance.IntN(len(nodes)-1)])
		case 1:
			m.Remove(observer)
		case 2:
			now = now.Add(time.Duration(chance.IntN(30)) * time.Second)
			m.Expire(now)
		case 3:
			// One out of the cluster has no part in it.
			report := anyReport(chance, "lab", now)
			report.Labels = map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
			_, err := m.Report(report, now)
			g.Expect(err).NotTo(HaveOccurred())
		default:
			_, err := m.Report(anyReport(chance, observer, now), now)
			g.Expect(err).NotTo(HaveOccurred())
		}
		for i := range m.nodes {
			address := m.nodes[i].Addresses[corev1.IPv4Protocol]
			agreement := m.agreement(m.nodes[i].Name, m.sites[address])
			said := map[protocol.Outcome]int{}
			for _, entry := range m.observers[address] {
				if !entry.alive || entry.stale || entry.name == m.nodes[i].Name {
					continue
				}
				said[entry.about(address, app)]++
			}
			all := said[protocol.Silent] + said[protocol.Reached] + said[protocol.Failed] + said[protocol.Translated] + said[protocol.OwnHost]
			g.Expect(agreement.observers).To(BeElementOf(0, all))
			g.Expect(agreement.reaches(app)).To(Equal(all > 0 && said[protocol.Reached] == all))
			g.Expect(agreement.fails(app)).To(Equal(all > 0 && said[protocol.Failed] == all))
			g.Expect(agreement.translates(app)).To(Equal(all > 0 && said[protocol.Translated] == all))
			if agreement.disputes(app) {
				disputes++
				g.Expect(said[protocol.Failed]).To(And(BeNumerically(">", 0), BeNumerically("<", all)))
			}
			switch {
			case agreement.reaches(app):
				seen[protocol.Reached]++
			case agreement.fails(app):
				seen[protocol.Failed]++
			case agreement.translates(app):
				seen[protocol.Translated]++
			default:
				seen[protocol.Silent]++
			}
		}
		m.AppendVerdicts(nil, web, now)
		g.Expect(m.doubted).To(HaveLen(len(app.doubts)))
		g.Expect(m.doubted).To(Or(BeEmpty(), HaveEach(1)))
		g.Expect(m.dated).To(Equal(len(app.failing)))
		remembered = max(remembered, len(app.doubts)+len(app.failing))
		for _, entry := range m.reports {
			disputed := slices.DeleteFunc(slices.Clone(entry.Addresses), func(address netip.Addr) bool {
				return m.doubted[address] == 0
			})
			if !entry.outside {
				g.Expect(entry.disputed).To(Equal(len(disputed)))
			}
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
	for _, said := range []protocol.Outcome{protocol.Silent, protocol.Reached, protocol.Failed, protocol.Translated} {
		g.Expect(seen[said]).To(BeNumerically(">", 100))
	}
}

// anyReport is most often one of an observer that reaches everything.
func anyReport(chance *rand.Rand, observer string, now time.Time) *v1alpha1.NodeReachability {
	status := v1alpha1.NodeReachabilityStatus{
		RenewTime: new(metav1.NewMicroTime(now)), ServicesResourceVersion: "7",
		Addresses: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}[chance.IntN(2):], NodePorts: "31000",
	}
	switch chance.IntN(22) {
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
	case 10:
		status.Pending = []v1alpha1.PendingProbes{{Reason: "OwnAddress", NodePorts: "31000", Addresses: status.Addresses[1:2]}}
	case 11, 12, 13:
		status.Pending = []v1alpha1.PendingProbes{
			{Reason: "TranslatedAtSource", NodePorts: "31000", Addresses: status.Addresses},
			{NodePorts: "31000", Addresses: status.Addresses[:chance.IntN(2)]},
		}
	}
	return &v1alpha1.NodeReachability{
		ObjectMeta: metav1.ObjectMeta{Name: observer},
		Spec:       specOfAll(),
		Status:     status,
	}
}
