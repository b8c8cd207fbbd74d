package reporter_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// state is what is known of a pair.
type state int

const (
	reached state = iota
	pending
	failing
)

// app is a node port and the families in which it is dialled.
type app struct {
	port       uint16
	ipv4, ipv6 bool
}

func (a app) dialledOn(address netip.Addr) bool {
	return address.Is4() && a.ipv4 || address.Is6() && a.ipv6
}

// onPorts are apps of IPv4 alone, one on each port.
func onPorts(ports ...uint16) []app {
	var apps []app
	for _, port := range ports {
		apps = append(apps, app{port: port, ipv4: true})
	}
	return apps
}

// knowledge is what is known of all pairs.
type knowledge struct {
	addresses []netip.Addr
	apps      []app
	states    map[netip.AddrPort]state
	causes    map[netip.AddrPort]reporter.FailureCause
}

func known(addresses []netip.Addr, apps []app, is func(app, netip.Addr) (state, reporter.FailureCause)) knowledge {
	k := knowledge{addresses, apps, map[netip.AddrPort]state{}, map[netip.AddrPort]reporter.FailureCause{}}
	for _, app := range apps {
		for _, address := range addresses {
			if app.dialledOn(address) {
				pair := netip.AddrPortFrom(address, app.port)
				k.states[pair], k.causes[pair] = is(app, address)
			}
		}
	}
	return k
}

func (k knowledge) snapshot() reporter.Snapshot {
	c := reporter.NewCollector(k.addresses)
	for _, app := range k.apps {
		c.Serve(app.port, app.ipv4, app.ipv6)
	}
	for pair, state := range k.states {
		if state != reached {
			c.Add(slices.Index(k.addresses, pair.Addr()), pair.Port(), k.causes[pair])
		}
	}
	return c.Snapshot()
}

func addresses(texts ...string) []netip.Addr {
	var addresses []netip.Addr
	for _, text := range texts {
		addresses = append(addresses, netip.MustParseAddr(text))
	}
	return addresses
}

func refused() reporter.FailureCause {
	return reporter.FailureCause{Result: probe.Result{Reason: probe.ConnectionRefused, Message: "connect: connection refused"}}
}

func timedOut() reporter.FailureCause {
	return reporter.FailureCause{Result: probe.Result{Reason: probe.Timeout, Message: "i/o timeout"}}
}

func translatedTo(pod string) reporter.FailureCause {
	return reporter.FailureCause{Gap: reporter.Gap{
		Outcome: protocol.Translated, TranslatedTo: netip.MustParseAddrPort(pod),
	}}
}

func TestStatus(t *testing.T) {
	nodes := addresses("10.0.0.1", "10.0.0.2", "10.0.0.3")
	for _, tc := range []struct {
		name      string
		addresses []netip.Addr
		apps      []app
		is        func(app, netip.Addr) (state, reporter.FailureCause)
		want      string
	}{
		{
			name: "nothing to dial",
			want: `{}`,
		},
		{
			name: "no addresses",
			apps: onPorts(30000),
			want: `{}`,
		},
		{
			name:      "all reached",
			addresses: nodes,
			apps:      onPorts(30002, 30000, 30001),
			is:        func(app, netip.Addr) (state, reporter.FailureCause) { return reached, reporter.FailureCause{} },
			want:      `{"addresses":["10.0.0.1","10.0.0.2","10.0.0.3"],"nodePorts":"30000-30002"}`,
		},
		{
			name:      "all pending",
			addresses: nodes,
			apps:      onPorts(30000, 30001),
			is:        func(app, netip.Addr) (state, reporter.FailureCause) { return pending, reporter.FailureCause{} },
			want: `{"addresses":["10.0.0.1","10.0.0.2","10.0.0.3"],"nodePorts":"30000-30001",
				"pending":[{"nodePorts":"30000-30001","addresses":["10.0.0.1","10.0.0.2","10.0.0.3"]}]}`,
		},
		{
			name:      "a dead app, a dead node and a new app",
			addresses: nodes,
			apps:      onPorts(30000, 30001, 30002, 30003),
			is: func(app app, address netip.Addr) (state, reporter.FailureCause) {
				switch {
				case app.port == 30003:
					return pending, reporter.FailureCause{}
				case address == nodes[2]:
					return failing, timedOut()
				case app.port == 30001:
					return failing, refused()
				default:
					return reached, reporter.FailureCause{}
				}
			},
			want: `{"addresses":["10.0.0.1","10.0.0.2","10.0.0.3"],"nodePorts":"30000-30003",
				"failures":[
					{"reason":"ConnectionRefused","message":"connect: connection refused",
						"nodePorts":"30001","addresses":["10.0.0.1","10.0.0.2"]},
					{"reason":"Timeout","message":"i/o timeout",
						"nodePorts":"30000-30002","addresses":["10.0.0.3"]}],
				"pending":[{"nodePorts":"30003","addresses":["10.0.0.1","10.0.0.2","10.0.0.3"]}]}`,
		},
		{
			name:      "an app without IPv6, and evidence",
			addresses: addresses("10.0.0.1", "fd00::1"),
			apps:      onPorts(30000),
			is: func(app, netip.Addr) (state, reporter.FailureCause) {
				cause := refused()
				cause.Evidence = v1alpha1.Evidence{Pod: "Reached", KubeProxy: "Timeout"}
				return failing, cause
			},
			want: `{"addresses":["10.0.0.1","fd00::1"],"nodePorts":"30000",
				"failures":[{"reason":"ConnectionRefused","message":"connect: connection refused",
					"evidence":{"pod":"Reached","kubeProxy":"Timeout"},
					"nodePorts":"30000","addresses":["10.0.0.1"]}]}`,
		},
		{
			name:      "no word, for several reasons",
			addresses: nodes,
			apps:      onPorts(30000, 30001, 30002),
			is: func(app app, address netip.Addr) (state, reporter.FailureCause) {
				switch {
				case address == nodes[2]:
					return pending, reporter.FailureCause{Gap: reporter.Gap{Outcome: protocol.OwnHost}}
				case app.port == 30000:
					return pending, translatedTo("10.1.0.7:9898")
				case app.port == 30001:
					return pending, translatedTo(fmt.Sprintf("[fd00::%x]:9898", address.As4()[3]))
				default:
					return pending, reporter.FailureCause{}
				}
			},
			want: `{"addresses":["10.0.0.1","10.0.0.2","10.0.0.3"],"nodePorts":"30000-30002",
				"pending":[
					{"nodePorts":"30002","addresses":["10.0.0.1","10.0.0.2"]},
					{"reason":"OwnAddress","nodePorts":"30000-30002","addresses":["10.0.0.3"]},
					{"reason":"TranslatedAtSource","translatedTo":"10.1.0.7:9898",
						"nodePorts":"30000","addresses":["10.0.0.1","10.0.0.2"]},
					{"reason":"TranslatedAtSource","translatedTo":"[fd00::1]:9898",
						"nodePorts":"30001","addresses":["10.0.0.1"]},
					{"reason":"TranslatedAtSource","translatedTo":"[fd00::2]:9898",
						"nodePorts":"30001","addresses":["10.0.0.2"]}]}`,
		},
		{
			name:      "no address of the app's family",
			addresses: addresses("fd00::1"),
			apps:      onPorts(30000),
			want:      `{"addresses":["fd00::1"]}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			status := known(tc.addresses, tc.apps, tc.is).snapshot().Status()
			text, err := json.Marshal(status)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(text).To(MatchJSON(tc.want))

			status.RenewTime, status.Probes = new(metav1.NowMicro()), crowdedStatistics()
			applied, err := json.Marshal(status)
			g.Expect(err).NotTo(HaveOccurred())
			var back v1alpha1.NodeReachabilityStatus
			g.Expect(json.Unmarshal(applied, &back)).To(Succeed())
			text, err = json.Marshal(status)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(json.Marshal(back)).To(MatchJSON(text), "what is applied says the same")
		})
	}
}

// TestStatusOfDeadNodeFits: with every other port in use, exact ranges would
// take more than there is room for. None of the ports between is dialled.
func TestStatusOfDeadNodeFits(t *testing.T) {
	g := NewWithT(t)
	var ports []uint16
	for port := uint16(30000); port < 31200; port += 2 {
		ports = append(ports, port)
	}
	nodes := addresses("10.0.0.1", "10.0.0.2", "10.0.0.3")
	k := known(nodes, onPorts(ports...), func(_ app, address netip.Addr) (state, reporter.FailureCause) {
		switch address {
		case nodes[0]:
			return failing, refused()
		case nodes[1]:
			return failing, timedOut()
		default:
			return reached, reporter.FailureCause{}
		}
	})
	status := k.snapshot().Status()
	g.Expect(status.Pending).To(BeEmpty())
	g.Expect(status.Failures).To(HaveLen(2))
	g.Expect(status.Failures[0].NodePorts).To(Equal("30000-31198"))
	g.Expect(k.mistakes(status)).To(BeEmpty())
}

// TestEvidenceGivesWay: where a report would be too large, evidence goes before
// anything else.
func TestEvidenceGivesWay(t *testing.T) {
	g := NewWithT(t)
	var ports []uint16
	for port := uint16(30000); port < 30128; port += 2 {
		ports = append(ports, port)
	}
	var nodes []netip.Addr
	for i := range 20 {
		nodes = append(nodes, netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i+1)))
	}
	without := known(nodes, onPorts(ports...), func(app, netip.Addr) (state, reporter.FailureCause) { return failing, timedOut() })
	with := known(nodes, onPorts(ports...), func(app app, _ netip.Addr) (state, reporter.FailureCause) {
		cause := timedOut()
		cause.Evidence.Pod = fmt.Sprint("Reason", app.port)
		return failing, cause
	})
	g.Expect(with.snapshot().Failures).To(HaveLen(len(ports)))
	g.Expect(with.snapshot().Status()).To(Equal(without.snapshot().Status()), "as if there was none")
	g.Expect(with.snapshot().Status().Failures).To(HaveLen(1))
}

// TestDetoursGiveWay: with more apps behind a socket load balancer than a report can
// list, it says of all pairs that their dials ended elsewhere, and not where.
func TestDetoursGiveWay(t *testing.T) {
	g := NewWithT(t)
	var ports []uint16
	for port := uint16(30000); port < 30400; port++ {
		ports = append(ports, port)
	}
	nodes := addresses("10.0.0.1", "10.0.0.2", "10.0.0.3")
	k := known(nodes, onPorts(ports...), func(app app, address netip.Addr) (state, reporter.FailureCause) {
		if app.port == 30007 {
			cause := timedOut()
			cause.Evidence.Pod = v1alpha1.EvidenceReached
			return failing, cause
		}
		return pending, translatedTo(fmt.Sprintf("10.1.%d.%d:9898", app.port%200, address.As4()[3]))
	})
	status := k.snapshot().Status()
	g.Expect(status.Pending).To(Equal([]v1alpha1.PendingProbes{{
		Reason: v1alpha1.ReasonTranslatedAtSource, NodePorts: "30000-30006,30008-30399",
		Addresses: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"},
	}}))
	g.Expect(status.Failures).To(HaveLen(1))
	g.Expect(status.Failures[0].Evidence).NotTo(BeNil(), "it is worth more")
	g.Expect(k.mistakes(status)).To(BeEmpty())
}

// FuzzStatus holds reports of random states to their bounds, and to never
// saying reached of a pair that is not.
func FuzzStatus(f *testing.F) {
	f.Add(uint64(1), uint16(3), uint8(3), uint8(0), uint8(2))
	f.Add(uint64(2), uint16(300), uint8(9), uint8(9), uint8(100))
	f.Add(uint64(3), uint16(2768), uint8(9), uint8(9), uint8(200))
	f.Add(uint64(4), uint16(2768), uint8(0), uint8(64), uint8(255))
	f.Add(uint64(5), uint16(1500), uint8(9), uint8(0), uint8(20))
	f.Add(uint64(6), uint16(1384), uint8(0), uint8(64), uint8(30))
	f.Fuzz(func(t *testing.T, seed uint64, apps uint16, ipv4, ipv6, trouble uint8) {
		random := rand.New(rand.NewPCG(seed, 0))
		k := randomKnowledge(random, int(apps)%2769, int(ipv4)%33, int(ipv6)%33, float64(trouble)/255)

		status := k.snapshot().Status()
		g := NewWithT(t)
		g.Expect(k.snapshot().Status()).To(Equal(status), "the order must not vary")
		g.Expect(k.mistakes(status)).To(BeEmpty())
		g.Expect(len(status.Addresses)).To(BeNumerically("<=", 64))
		g.Expect(len(status.Failures)).To(BeNumerically("<=", 128))
		g.Expect(len(status.Pending)).To(BeNumerically("<=", 128))
		status.ObservedGeneration, status.RecheckRound = 1<<62, 1<<62
		status.RenewTime = new(metav1.NowMicro())
		status.ServicesResourceVersion = strings.Repeat("9", 64)
		status.Probes = crowdedStatistics()
		text, err := json.Marshal(status)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(len(text)).To(BeNumerically("<=", 8_000))
	})
}

// crowdedStatistics are about as long as they get: every result there is, and
// more of each than an agent probes in 60 years.
func crowdedStatistics() *v1alpha1.ProbeStatistics {
	const many = 999_999_999_999
	statistics := &v1alpha1.ProbeStatistics{
		StartTime: metav1.NewTime(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)),
		Latency: &v1alpha1.ProbeLatency{
			BoundsMilliseconds: []int32{1, 3, 10, 30, 100, 300, 1000, 10_000},
			Counts:             []int64{many, many, many, many, many, many, many, many, many},
			SumMicroseconds:    1<<63 - 1,
		},
	}
	for _, reason := range []probe.Reason{
		v1alpha1.EvidenceReached, probe.ConnectionRefused, probe.ConnectionReset, probe.Timeout, probe.NoRoute,
		probe.HTTPStatus, probe.ProtocolError, probe.NotDialled,
	} {
		statistics.Results = append(statistics.Results, v1alpha1.ProbeCount{Result: string(reason), Count: many})
	}
	for _, path := range []v1alpha1.DialPath{v1alpha1.DialDirect, v1alpha1.DialTranslated, v1alpha1.DialUnverified} {
		statistics.Dials = append(statistics.Dials, v1alpha1.DialCount{Path: path, Count: many})
	}
	return statistics
}

// randomKnowledge has apps on random ports, addresses of both families, and
// about a share of trouble among the pairs: dead apps, dead nodes, and single
// pairs.
func randomKnowledge(random *rand.Rand, apps, ipv4, ipv6 int, trouble float64) knowledge {
	var exposed []app
	for _, offset := range random.Perm(2768)[:apps] {
		exposed = append(exposed, app{uint16(30000 + offset), random.IntN(4) > 0, random.IntN(2) > 0})
	}
	var nodes []netip.Addr
	for i := range ipv4 {
		nodes = append(nodes, netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}))
	}
	for i := range ipv6 {
		long := [16]byte{0: 0xfd, 1: 0xff, 2: 0xff, 3: 0xff, 4: 0xff, 5: 0xff, 7: 0xff, 9: 0xff, 11: 0xff, 13: 0xff}
		long[15] = byte(i + 1)
		nodes = append(nodes, netip.AddrFrom16(long))
	}
	results := []probe.Result{{}, refused().Result, timedOut().Result}
	for code := range 60 {
		results = append(results, probe.Result{Reason: probe.HTTPStatus, Message: fmt.Sprint("HTTP ", 400+code)})
	}
	words := []string{"", v1alpha1.EvidenceReached, v1alpha1.ReasonConnectionRefused, v1alpha1.ReasonTimeout}
	gaps := []reporter.Gap{{}, {Outcome: protocol.OwnHost}, {Outcome: protocol.Translated}}
	for pod := range 10 {
		gaps = append(gaps, translatedTo(fmt.Sprintf("10.1.0.%d:9898", pod)).Gap)
	}
	ports, hosts := map[uint16]bool{}, map[netip.Addr]bool{}
	for _, app := range exposed {
		ports[app.port] = random.Float64() < trouble/3
	}
	for _, node := range nodes {
		hosts[node] = random.Float64() < trouble/3
	}
	return known(nodes, exposed, func(app app, node netip.Addr) (state, reporter.FailureCause) {
		if !ports[app.port] && !hosts[node] && random.Float64() >= trouble/3 {
			return reached, reporter.FailureCause{}
		}
		cause := reporter.FailureCause{Result: results[random.IntN(len(results))]}
		if cause.Result.Reached() {
			cause.Gap = gaps[random.IntN(len(gaps))]
			return pending, cause
		}
		cause.Evidence = v1alpha1.Evidence{Pod: words[random.IntN(4)], KubeProxy: words[random.IntN(4)]}
		return failing, cause
	})
}

// mistakes are the pairs of which status says what it may not say. It may say
// that it does not know, and otherwise only the truth.
func (k knowledge) mistakes(status v1alpha1.NodeReachabilityStatus) []string {
	type says struct {
		result probe.Result
		ports  nodeport.Set
	}
	parse := func(text string) nodeport.Set {
		set, err := nodeport.Parse(text)
		if err != nil {
			panic(err)
		}
		return set
	}
	dialled := parse(status.NodePorts)
	failures, unknown := map[string][]says{}, map[string]nodeport.Set{}
	gaps := k.falseGaps(status)
	for _, f := range status.Failures {
		for _, address := range f.Addresses {
			result := probe.Result{Reason: probe.Reason(f.Reason), Message: f.Message}
			failures[address] = append(failures[address], says{result, parse(f.NodePorts)})
		}
	}
	for _, p := range status.Pending {
		for _, address := range p.Addresses {
			unknown[address] = unknown[address].Union(parse(p.NodePorts))
		}
	}
	mistakes := gaps
	for pair, state := range k.states {
		if !dialled.Contains(pair.Port()) {
			continue
		}
		said, result := reached, probe.Result{}
		if unknown[pair.Addr().String()].Contains(pair.Port()) {
			said = pending
		}
		for _, f := range failures[pair.Addr().String()] {
			if f.ports.Contains(pair.Port()) {
				said, result = failing, f.result
			}
		}
		if truth := k.causes[pair].Result; said != pending && (said != state || result != truth) {
			mistakes = append(mistakes, fmt.Sprintf("%s is %d %v, not %d %v", pair, state, truth, said, result))
		}
	}
	return mistakes
}

// falseGaps are the pairs of which status tells another reason for a gap than there
// is, or another place where their dials ended.
func (k knowledge) falseGaps(status v1alpha1.NodeReachabilityStatus) []string {
	var mistakes []string
	for _, p := range status.Pending {
		ports, err := nodeport.Parse(p.NodePorts)
		if err != nil {
			panic(err)
		}
		for pair, state := range k.states {
			if !ports.Contains(pair.Port()) || !slices.Contains(p.Addresses, pair.Addr().String()) || p.Reason == "" {
				continue
			}
			gap := k.causes[pair].Gap
			elsewhere := p.TranslatedTo != "" && p.TranslatedTo != gap.TranslatedTo.String()
			if state != pending || p.Reason != pendingReason(gap.Outcome) || elsewhere {
				mistakes = append(mistakes, fmt.Sprintf("%s is %d %v, not %s %s", pair, state, gap, p.Reason, p.TranslatedTo))
			}
		}
	}
	return mistakes
}

// BenchmarkStatus sums up the largest cluster: the whole node port range, nine
// nodes, one of them dead.
func BenchmarkStatus(b *testing.B) {
	var ports []uint16
	for port := uint16(30000); port < 32768; port++ {
		ports = append(ports, port)
	}
	var nodes []netip.Addr
	for i := range 9 {
		nodes = append(nodes, netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}))
	}
	k := known(nodes, onPorts(ports...), func(_ app, address netip.Addr) (state, reporter.FailureCause) {
		if address == nodes[0] {
			return failing, timedOut()
		}
		return reached, reporter.FailureCause{}
	})
	b.ReportAllocs()
	for b.Loop() {
		k.snapshot().Status()
	}
}

// pendingReason is how the API calls why a pair is pending.
func pendingReason(outcome protocol.Outcome) string {
	return map[protocol.Outcome]string{
		protocol.OwnHost: v1alpha1.PendingOwnAddress, protocol.Translated: v1alpha1.ReasonTranslatedAtSource,
	}[outcome]
}
