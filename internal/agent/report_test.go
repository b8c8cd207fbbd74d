package agent

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/probe"
)

// known is a schedule of pairs that are what is says.
func known(
	addresses []netip.Addr, services []service, is func(service, netip.Addr) (state, probe.Result),
) *schedule {
	s := newSchedule("node", 1)
	s.assign(0, addresses, smallCluster)
	s.replaceServices(0, services)
	for _, r := range s.rows {
		for i := range r.pairs {
			if p := &r.pairs[i]; p.state != undialled {
				state, result := is(r.service, p.address)
				s.conclude(p, state, result)
			}
		}
	}
	return s
}

// onPorts are IPv4 Services, one on each port.
func onPorts(ports ...uint16) []service {
	var services []service
	for _, port := range ports {
		services = append(services, service{
			key:      types.NamespacedName{Name: fmt.Sprint(port)},
			port:     port,
			ipv4:     true,
			settings: settingsOf(""),
		})
	}
	return services
}

func addresses(texts ...string) []netip.Addr {
	var addresses []netip.Addr
	for _, text := range texts {
		addresses = append(addresses, netip.MustParseAddr(text))
	}
	return addresses
}

func refused() probe.Result {
	return probe.Result{Reason: probe.ConnectionRefused, Message: "connect: connection refused"}
}

func timedOut() probe.Result {
	return probe.Result{Reason: probe.Timeout, Message: "i/o timeout"}
}

func TestReport(t *testing.T) {
	nodes := addresses("10.0.0.1", "10.0.0.2", "10.0.0.3")
	for _, tc := range []struct {
		name      string
		addresses []netip.Addr
		services  []service
		is        func(service, netip.Addr) (state, probe.Result)
		want      string
	}{
		{
			name: "nothing to dial",
			want: `{}`,
		},
		{
			name:      "no addresses",
			addresses: nil,
			services:  onPorts(30000),
			want:      `{}`,
		},
		{
			name:      "all reached",
			addresses: nodes,
			services:  onPorts(30002, 30000, 30001),
			is:        func(service, netip.Addr) (state, probe.Result) { return reached, probe.Result{} },
			want:      `{"addresses":["10.0.0.1","10.0.0.2","10.0.0.3"],"nodePorts":"30000-30002"}`,
		},
		{
			name:      "all pending",
			addresses: nodes,
			services:  onPorts(30000, 30001),
			is:        func(service, netip.Addr) (state, probe.Result) { return pending, probe.Result{} },
			want: `{"addresses":["10.0.0.1","10.0.0.2","10.0.0.3"],"nodePorts":"30000-30001",
				"pending":[{"nodePorts":"30000-30001","addresses":["10.0.0.1","10.0.0.2","10.0.0.3"]}]}`,
		},
		{
			name:      "a dead app, a dead node and a new app",
			addresses: nodes,
			services:  onPorts(30000, 30001, 30002, 30003),
			is: func(svc service, address netip.Addr) (state, probe.Result) {
				switch {
				case svc.port == 30003:
					return pending, probe.Result{}
				case address == nodes[2]:
					return failing, timedOut()
				case svc.port == 30001:
					return failing, refused()
				default:
					return reached, probe.Result{}
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
			name:      "an app without IPv6",
			addresses: addresses("10.0.0.1", "fd00::1"),
			services:  onPorts(30000),
			is:        func(service, netip.Addr) (state, probe.Result) { return failing, refused() },
			want: `{"addresses":["10.0.0.1","fd00::1"],"nodePorts":"30000",
				"failures":[{"reason":"ConnectionRefused","message":"connect: connection refused",
					"nodePorts":"30000","addresses":["10.0.0.1"]}]}`,
		},
		{
			name:      "no address of the app's family",
			addresses: addresses("fd00::1"),
			services:  onPorts(30000),
			want:      `{"addresses":["fd00::1"]}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			status, err := json.Marshal(known(tc.addresses, tc.services, tc.is).survey().report())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(status).To(MatchJSON(tc.want))
		})
	}
}

// TestReportOfDeadNodeFits: with every other port in use, exact ranges would
// take more than there is room for. None of the ports between is dialled.
func TestReportOfDeadNodeFits(t *testing.T) {
	g := NewWithT(t)
	var ports []uint16
	for port := uint16(30000); port < 31200; port += 2 {
		ports = append(ports, port)
	}
	nodes := addresses("10.0.0.1", "10.0.0.2", "10.0.0.3")
	s := known(nodes, onPorts(ports...), func(_ service, address netip.Addr) (state, probe.Result) {
		switch address {
		case nodes[0]:
			return failing, refused()
		case nodes[1]:
			return failing, timedOut()
		default:
			return reached, probe.Result{}
		}
	})
	report := s.survey().report()
	g.Expect(report.Pending).To(BeEmpty())
	g.Expect(report.Failures).To(HaveLen(2))
	g.Expect(report.Failures[0].NodePorts).To(Equal("30000-31198"))
	g.Expect(mistakes(s, report)).To(BeEmpty())
}

// FuzzReport holds reports of random states to their bounds, and to never
// saying reached of a pair that is not.
func FuzzReport(f *testing.F) {
	f.Add(uint64(1), uint16(3), uint8(3), uint8(0), uint8(2))
	f.Add(uint64(2), uint16(300), uint8(9), uint8(9), uint8(100))
	f.Add(uint64(3), uint16(2768), uint8(9), uint8(9), uint8(200))
	f.Add(uint64(4), uint16(2768), uint8(0), uint8(64), uint8(255))
	f.Add(uint64(5), uint16(1500), uint8(9), uint8(0), uint8(20))
	f.Add(uint64(6), uint16(1384), uint8(0), uint8(64), uint8(30))
	f.Fuzz(func(t *testing.T, seed uint64, apps uint16, ipv4, ipv6, trouble uint8) {
		random := rand.New(rand.NewPCG(seed, 0))
		s := randomSchedule(random, int(apps)%2769, int(ipv4)%33, int(ipv6)%33, float64(trouble)/255)

		report := s.survey().report()
		g := NewWithT(t)
		g.Expect(s.survey().report()).To(Equal(report), "the order must not vary")
		g.Expect(mistakes(s, report)).To(BeEmpty())
		g.Expect(len(report.Addresses)).To(BeNumerically("<=", 64))
		g.Expect(len(report.Failures)).To(BeNumerically("<=", 128))
		g.Expect(len(report.Pending)).To(BeNumerically("<=", 128))
		report.ObservedGeneration, report.RecheckRound = 1<<62, 1<<62
		report.RenewTime = new(metav1.NowMicro())
		report.ServicesResourceVersion = strings.Repeat("9", 64)
		report.Probes = crowdedStatistics().status()
		text, err := json.Marshal(report)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(len(text)).To(BeNumerically("<=", 10_000))
	})
}

// randomSchedule has apps Services on random ports, addresses of both families,
// and about a share of trouble among the pairs: dead apps, dead nodes, and
// single pairs.
func randomSchedule(random *rand.Rand, apps, ipv4, ipv6 int, trouble float64) *schedule {
	services := onPorts()
	for _, offset := range random.Perm(2768)[:apps] {
		svc := onPorts(uint16(30000 + offset))[0]
		svc.ipv4, svc.ipv6 = random.IntN(4) > 0, random.IntN(2) > 0
		services = append(services, svc)
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
	results := []probe.Result{{}, refused(), timedOut()}
	for code := range 60 {
		results = append(results, probe.Result{Reason: probe.HTTPStatus, Message: fmt.Sprint("HTTP ", 400+code)})
	}
	ports, hosts := map[uint16]bool{}, map[netip.Addr]bool{}
	for _, svc := range services {
		ports[svc.port] = random.Float64() < trouble/3
	}
	for _, node := range nodes {
		hosts[node] = random.Float64() < trouble/3
	}
	s := known(nodes, services, func(svc service, node netip.Addr) (state, probe.Result) {
		if !ports[svc.port] && !hosts[node] && random.Float64() >= trouble/3 {
			return reached, probe.Result{}
		}
		result := results[random.IntN(len(results))]
		if result.Reached() {
			return pending, result
		}
		return failing, result
	})
	words := []string{"", v1alpha1.EvidenceReached, v1alpha1.ReasonConnectionRefused, v1alpha1.ReasonTimeout}
	for _, tried := range s.tracking.tried {
		tried.word = words[random.IntN(len(words))]
	}
	return s
}

// mistakes are the pairs of which report says what it may not say. It may say
// that it does not know, and otherwise only the truth.
func mistakes(s *schedule, report v1alpha1.NodeReachabilityStatus) []string {
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
	dialled := parse(report.NodePorts)
	failures, unknown := map[string][]says{}, map[string]nodeport.Set{}
	for _, f := range report.Failures {
		for _, address := range f.Addresses {
			result := probe.Result{Reason: probe.Reason(f.Reason), Message: f.Message}
			failures[address] = append(failures[address], says{result, parse(f.NodePorts)})
		}
	}
	for _, p := range report.Pending {
		for _, address := range p.Addresses {
			unknown[address] = unknown[address].Union(parse(p.NodePorts))
		}
	}
	var mistakes []string
	for port, r := range s.rows {
		for i := range r.pairs {
			p := &r.pairs[i]
			if p.state == undialled || !dialled.Contains(port) {
				continue
			}
			said, result := reached, probe.Result{}
			if unknown[p.address.String()].Contains(port) {
				said = pending
			}
			for _, f := range failures[p.address.String()] {
				if f.ports.Contains(port) {
					said, result = failing, f.result
				}
			}
			if said != pending && (said != p.state || result != p.result) {
				mistakes = append(mistakes, fmt.Sprintf("%s:%d is %d %v, not %d %v",
					p.address, port, p.state, p.result, said, result))
			}
		}
	}
	return mistakes
}

// BenchmarkReport sums up the largest cluster: the whole node port range, nine
// nodes, one of them dead.
func BenchmarkReport(b *testing.B) {
	var ports []uint16
	for port := uint16(30000); port < 32768; port++ {
		ports = append(ports, port)
	}
	var nodes []netip.Addr
	for i := range 9 {
		nodes = append(nodes, netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}))
	}
	s := known(nodes, onPorts(ports...), func(_ service, address netip.Addr) (state, probe.Result) {
		if address == nodes[0] {
			return failing, timedOut()
		}
		return reached, probe.Result{}
	})
	b.ReportAllocs()
	for b.Loop() {
		s.survey().report()
	}
}
