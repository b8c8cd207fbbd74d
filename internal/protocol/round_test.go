package protocol_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// What one side encodes, the other decodes as it was.

func ports() *rapid.Generator[nodeport.Set] {
	return rapid.Custom(func(t *rapid.T) nodeport.Set {
		return nodeport.Of(rapid.SliceOfN(rapid.Uint16Range(30000, 30040), 1, 8).Draw(t, "ports")...)
	})
}

// someOf returns some of the addresses, ascending.
func someOf(addresses []netip.Addr) *rapid.Generator[[]netip.Addr] {
	return rapid.Custom(func(t *rapid.T) []netip.Addr {
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(addresses), 1, len(addresses), rapid.ID).Draw(t, "addresses")
		slices.SortFunc(some, netip.Addr.Compare)
		return some
	})
}

func anyAddresses() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.10"),
		netip.MustParseAddr("fd00::1"),
	}
}

func anyReport() *rapid.Generator[protocol.Report] {
	return rapid.Custom(func(t *rapid.T) protocol.Report {
		addresses := someOf(anyAddresses()).Draw(t, "dialled")
		found := rapid.SampledFrom([]string{"", v1alpha1.EvidenceReached, v1alpha1.ReasonTimeout})
		failure := rapid.Custom(func(t *rapid.T) protocol.Exception {
			return protocol.Exception{
				Outcome: protocol.Failed,
				Reason:  rapid.SampledFrom([]string{v1alpha1.ReasonTimeout, v1alpha1.ReasonHTTPStatus, v1alpha1.ReasonOther}).Draw(t, "reason"),
				Message: rapid.StringMatching(`[ -~äß]{0,40}`).Draw(t, "message"),
				Evidence: v1alpha1.Evidence{
					Pod: found.Draw(t, "pod"), ClusterIP: found.Draw(t, "cluster IP"), KubeProxy: found.Draw(t, "kube-proxy"),
				},
				NodePorts: ports().Draw(t, "failing"), Addresses: someOf(addresses).Draw(t, "at"),
			}
		})
		pending := rapid.Custom(func(t *rapid.T) protocol.Exception {
			e := protocol.Exception{
				Outcome:   rapid.SampledFrom([]protocol.Outcome{protocol.Silent, protocol.OwnHost, protocol.Translated}).Draw(t, "outcome"),
				NodePorts: ports().Draw(t, "pending"), Addresses: someOf(addresses).Draw(t, "at"),
			}
			if e.Outcome == protocol.Translated {
				e.Message = rapid.SampledFrom([]string{"", "10.244.0.7:9898", "[fd00::7]:9898"}).Draw(t, "to")
			}
			return e
		})
		r := protocol.Report{
			ServicesVersion: "7", RecheckRound: rapid.Int64Range(0, 9).Draw(t, "round"),
			Addresses: addresses, NodePorts: ports().Draw(t, "node ports"),
			Failures: rapid.SliceOfN(failure, 0, 4).Draw(t, "failures"), Pending: rapid.SliceOfN(pending, 0, 4).Draw(t, "gaps"),
		}
		slices.SortStableFunc(r.Pending, func(a, b protocol.Exception) int {
			return rank(a.Outcome) - rank(b.Outcome)
		})
		return r
	})
}

// rank says that translated pairs come last.
func rank(outcome protocol.Outcome) int {
	if outcome == protocol.Translated {
		return 1
	}
	return 0
}

// objectOf is the NodeReachability of an observer that was given addresses and asked
// round 9.
func objectOf(status v1alpha1.NodeReachabilityStatus, given []netip.Addr) *v1alpha1.NodeReachability {
	object := &v1alpha1.NodeReachability{Status: status}
	object.Spec.Recheck = &v1alpha1.Recheck{Round: 9}
	for _, address := range given {
		object.Spec.Targets = append(object.Spec.Targets, v1alpha1.Target{Addresses: []string{address.String()}})
	}
	return object
}

func equal(a, b *protocol.Report) bool {
	same := func(a, b []protocol.Exception) bool {
		return slices.EqualFunc(a, b, func(a, b protocol.Exception) bool { return a.Equal(&b) })
	}
	return a.ServicesVersion == b.ServicesVersion && a.RecheckRound == b.RecheckRound &&
		slices.Equal(a.Addresses, b.Addresses) && a.NodePorts.Equal(b.NodePorts) &&
		same(a.Failures, b.Failures) && same(a.Pending, b.Pending)
}

func TestReportIsDecodedAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		report := anyReport().Draw(t, "report")
		decoded, err := protocol.DecodeReport(objectOf(report.Encode(), anyAddresses()))
		if err != nil || !equal(&decoded, &report) {
			t.Fatalf("%v: decoded as %+v", err, decoded)
		}
	})
}

// An observer speaks of what it was given to dial, and of nothing else.
func TestReportOfAddressesThatWereNotGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		report := anyReport().Draw(t, "report")
		given := someOf(anyAddresses()).Draw(t, "given")
		decoded, err := protocol.DecodeReport(objectOf(report.Encode(), given))
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range [][]protocol.Exception{{{Addresses: decoded.Addresses}}, decoded.Failures, decoded.Pending} {
			for _, e := range list {
				for _, address := range e.Addresses {
					if !slices.Contains(given, address) {
						t.Fatalf("%s was not given", address)
					}
				}
			}
		}
	})
}

func TestRecheckIsDecodedAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		recheck := protocol.Recheck{
			Round: rapid.Int64Min(1).Draw(t, "round"), Ports: ports().Draw(t, "ports"),
			Addresses: someOf(anyAddresses()).Draw(t, "addresses"),
		}
		decoded, err := protocol.DecodeRecheck(new(recheck.Encode()))
		if err != nil || decoded.Round != recheck.Round || !decoded.Ports.Equal(recheck.Ports) ||
			!slices.Equal(decoded.Addresses, recheck.Addresses) {
			t.Fatalf("%v: decoded as %+v", err, decoded)
		}
	})
}

func TestRecheckThatCannotBeRead(t *testing.T) {
	g := NewWithT(t)
	for _, recheck := range []v1alpha1.Recheck{
		{Round: 3, NodePorts: "30000-", Addresses: []string{"10.0.0.1"}},
		{Round: 3, NodePorts: "30000", Addresses: []string{"10.0.0"}},
	} {
		decoded, err := protocol.DecodeRecheck(&recheck)
		g.Expect(err).To(MatchError(ContainSubstring("of round 3")))
		g.Expect(decoded).To(Equal(protocol.Recheck{Round: 3}))
	}
	g.Expect(protocol.DecodeRecheck(nil)).To(Equal(protocol.Recheck{}))
}

func TestProbeIsDecodedAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period := rapid.Int32Range(1, 300).Draw(t, "period")
		spec := v1alpha1.ProbeSpec{
			Path:             "/" + rapid.StringMatching(`[!-~]{0,60}`).Draw(t, "path"),
			PeriodSeconds:    period,
			TimeoutSeconds:   rapid.Int32Range(1, min(period, 60)).Draw(t, "timeout"),
			FailureThreshold: rapid.Int32Range(1, 10).Draw(t, "threshold"),
		}
		decoded := protocol.DecodeProbe(protocol.EncodeProbe(&spec))
		want := protocol.Probe{
			Path: spec.Path, Period: time.Duration(spec.PeriodSeconds) * time.Second,
			Timeout: time.Duration(spec.TimeoutSeconds) * time.Second, Threshold: uint8(spec.FailureThreshold),
		}
		if decoded != want {
			t.Fatalf("decoded as %+v", decoded)
		}
	})
}

func TestHeartbeat(t *testing.T) {
	g := NewWithT(t)
	for size, want := range map[int32]time.Duration{
		1: 10 * time.Second, 175: 10 * time.Second, 1000: time.Minute, 5000: 5 * time.Minute, 20000: 5 * time.Minute,
	} {
		g.Expect(protocol.Heartbeat(protocol.HeartbeatSeconds(size))).To(Equal(want), "%d nodes", size)
	}
	g.Expect(protocol.Heartbeat(0)).To(Equal(protocol.PromptHeartbeat))
	g.Expect(protocol.Heartbeat(-7)).To(Equal(time.Second))
	g.Expect(protocol.Heartbeat(1 << 30)).To(Equal(300 * time.Second))
}

func FuzzDecodeReport(f *testing.F) {
	f.Add(`{"spec": {"targets": [{"node": "a", "addresses": ["10.0.0.1"]}]}, "status": {"addresses": ["10.0.0.1"], "nodePorts": "30000-30002",
		"failures": [{"reason": "Timeout", "nodePorts": "30001", "addresses": ["10.0.0.1"]}],
		"pending": [{"reason": "TranslatedAtSource", "translatedTo": "10.244.0.7:80", "nodePorts": "30002", "addresses": ["10.0.0.1"]}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var object v1alpha1.NodeReachability
		if json.Unmarshal([]byte(text), &object) != nil {
			return
		}
		decoded, err := protocol.DecodeReport(&object)
		if err != nil {
			return
		}
		again := object
		again.Status = decoded.Encode()
		twice, err := protocol.DecodeReport(&again)
		if err != nil || !equal(&decoded, &twice) {
			t.Fatalf("%v: %+v, and then %+v", err, decoded, twice)
		}
	})
}

func FuzzDecodeProbe(f *testing.F) {
	f.Add(`{"path": "/x", "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2}`)
	f.Fuzz(func(t *testing.T, text string) {
		probe := protocol.DecodeProbe(text)
		if probe.Path == "" || probe.Path[0] != '/' || probe.Period < time.Second || probe.Period > 300*time.Second ||
			probe.Timeout < time.Second || probe.Timeout > min(probe.Period, time.Minute) || probe.Threshold < 1 || probe.Threshold > 10 {
			t.Fatalf("out of bounds: %+v", probe)
		}
	})
}

func FuzzDecodeRecheck(f *testing.F) {
	f.Add(int64(3), "30000-30002", "10.0.0.1")
	f.Fuzz(func(t *testing.T, round int64, nodePorts, address string) {
		decoded, err := protocol.DecodeRecheck(&v1alpha1.Recheck{Round: round, NodePorts: nodePorts, Addresses: []string{address}})
		if decoded.Round != round {
			t.Fatal("the round is lost")
		}
		if err == nil && decoded.Encode().NodePorts != nodePorts {
			t.Fatalf("%q became %q", nodePorts, decoded.Encode().NodePorts)
		}
	})
}
