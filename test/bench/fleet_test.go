package main

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/controller/nodereachability"
	"github.com/exposedapp/exposedapp/test/gen"
)

// play is a fleet without an API server, in a time of its own.
type play struct {
	*fleetActor
	g   Gomega
	now time.Duration
	// reports are the newest by node, and written the number of all.
	reports map[string]v1alpha1.NodeReachabilityStatus
	written int
}

// newPlay has agents on n nodes, in a cluster that they take for one of size, and
// so many apps, all of which they have reported as reached.
func newPlay(t *testing.T, n, size, apps int) *play {
	p := &play{fleetActor: newFleetActor(0), g: NewWithT(t), reports: make(map[string]v1alpha1.NodeReachabilityStatus)}
	for i := range apps {
		p.serve(0, p.app(i), portOf(i), 5*time.Second, uint64(i+1))
		p.stir(0, p.app(i), "a pod")
	}
	p.sync(0, 100)
	var nodes []corev1.Node
	for i := range n {
		nodes = append(nodes, *gen.Node(nodeName(i), nodeAddress(i).String()))
	}
	for name, spec := range nodereachability.Specs(nodes, 0) {
		if size > n {
			spec.ClusterSize, spec.HeartbeatSeconds = int32(size), int32(min(300, size*3/50))
		}
		p.follow(0, name, assignedOf(&v1alpha1.NodeReachability{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Generation: 1}, Spec: spec,
		}))
	}
	p.until(2*time.Minute, func() bool { return len(p.reports) == n })
	for _, report := range p.reports {
		p.g.Expect(report.Failures).To(BeEmpty())
		p.g.Expect(report.Pending).To(BeEmpty())
	}
	return p
}

func (p *play) app(i int) types.NamespacedName { return types.NamespacedName{Name: fmt.Sprint(i)} }

// until lets time pass until something holds, and returns how long that took.
func (p *play) until(atMost time.Duration, holds func() bool) time.Duration {
	began := p.now
	for !holds() {
		p.g.Expect(p.now - began).To(BeNumerically("<=", atMost))
		p.now = max(p.now, p.queue[0].due)
		p.advance(p.now)
		for len(p.jobs) > 0 {
			job := <-p.jobs
			p.reports[job.node] = job.status
			p.written++
			p.finishWrite(job.agent, p.now, nil)
		}
	}
	return p.now - began
}

// failing counts the pairs that the reports of all nodes call failing, on other
// nodes.
func (p *play) failing() int {
	n := 0
	for node, report := range p.reports {
		for _, failure := range report.Failures {
			for _, address := range failure.Addresses {
				if p.breaks.nodes[node] != p.nodeAt(address) {
					n += mustPorts(failure.NodePorts).Len()
				}
			}
		}
	}
	return n
}

func (p *play) nodeAt(address string) *siteNode {
	for _, a := range p.agents {
		for i := range a.targets {
			if a.targets[i].address.String() == address {
				return a.targets[i].node
			}
		}
	}
	return nil
}

// TestFleetSeesWhatBreaks: how long it takes until the reports of all observers
// say what is broken, and until they say that it is mended.
func TestFleetSeesWhatBreaks(t *testing.T) {
	const apps = 20
	every := func(n int) []uint16 {
		var ports []uint16
		for slot := range n {
			ports = append(ports, portOf(slot))
		}
		return ports
	}
	for name, tc := range map[string]struct {
		broken Break
		// pairs is how many are broken, seen from all other nodes.
		pairs          int
		broken2report  time.Duration
		mended2report  time.Duration
		stirs, largish bool
	}{
		"one port on one node": {
			broken: Break{Nodes: []string{"node-0003"}, Ports: every(1)}, pairs: 8,
			broken2report: 6200 * time.Millisecond, mended2report: 3 * time.Second,
		},
		"one port on one node, silently": {
			broken: Break{Nodes: []string{"node-0003"}, Ports: every(1), Silent: true}, pairs: 8,
			broken2report: 8400 * time.Millisecond, mended2report: 3 * time.Second,
		},
		"one port on all nodes": {
			broken: Break{Ports: every(1)}, pairs: 10 * 8,
			broken2report: 6200 * time.Millisecond, mended2report: 3 * time.Second,
		},
		"one node": {
			broken: Break{Nodes: []string{"node-0003"}}, pairs: 8 * apps,
			broken2report: 6200 * time.Millisecond, mended2report: 3 * time.Second,
		},
		"everything": {
			broken: Break{Ports: every(apps)}, pairs: 10 * 8 * apps,
			broken2report: 8 * time.Second, mended2report: 4 * time.Second,
		},
		"one node of many": {
			broken: Break{Nodes: []string{"node-0003"}}, pairs: 8 * apps, largish: true,
			broken2report: 7 * time.Minute, mended2report: time.Minute,
		},
		"one app of many nodes, whose endpoints go": {
			broken: Break{Ports: every(1)}, pairs: 10 * 8, largish: true, stirs: true,
			broken2report: 75 * time.Second, mended2report: 75 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			size := 10
			if tc.largish {
				size = 5000
			}
			p := newPlay(t, 10, size, apps)
			tc.broken.Broken = true
			for _, half := range []struct {
				pairs  int
				atMost time.Duration
			}{{tc.pairs, tc.broken2report}, {0, tc.mended2report}} {
				p.turn(p.now, tc.broken)
				if tc.stirs {
					p.stir(p.now, p.app(0), fmt.Sprint("a pod since ", p.now))
				}
				took := p.until(10*time.Minute, func() bool { return p.failing() == half.pairs })
				p.g.Expect(took).To(BeNumerically("<=", half.atMost))
				p.g.Expect(took).To(BeNumerically(">=", 100*time.Millisecond))
				tc.broken.Broken = false
				p.until(3*time.Second+took, func() bool { return p.now > took+time.Second })
			}
		})
	}
}

// TestFleetIsQuiet: without any change, a report per heartbeat.
func TestFleetIsQuiet(t *testing.T) {
	p := newPlay(t, 12, 12, 5)
	written, began := p.written, p.now
	p.until(11*time.Minute, func() bool { return p.now-began >= 10*time.Minute })
	p.g.Expect(p.written - written).To(BeNumerically("~", 12*60, 12*60/10))
}

// TestFleetKeepsQuietWhereItIsDead: and begins anew when it is back.
func TestFleetKeepsQuietWhereItIsDead(t *testing.T) {
	p := newPlay(t, 12, 12, 5)
	dies := Break{Nodes: []string{"node-0001"}, Broken: true, Silent: true, Dead: true}
	p.turn(p.now, dies)
	p.until(time.Minute, func() bool { return p.failing() == 8*5 })
	before := p.reports["node-0001"]
	began := p.now
	p.until(2*time.Minute, func() bool { return p.now-began >= time.Minute })
	p.g.Expect(p.reports["node-0001"]).To(Equal(before))

	p.turn(p.now, Break{Nodes: []string{"node-0001"}})
	p.until(30*time.Second, func() bool { return p.reports["node-0001"].RenewTime.After(before.RenewTime.Time) })
	p.g.Expect(p.reports["node-0001"].Pending).To(BeEmpty())
}

// TestFleetLooksAgain: a request is answered at once, by what is so by then.
func TestFleetLooksAgain(t *testing.T) {
	p := newPlay(t, 3, 3, 3)
	address := nodeAddress(1).String()
	p.until(time.Minute, func() bool { return p.now > 20*time.Second })
	p.turn(p.now, Break{Nodes: []string{"node-0001"}, Ports: []uint16{30001}, Broken: true})
	asked := *p.agents["node-0000"].wanted
	asked.generation++
	asked.round, asked.ports = 7, mustPorts("30001")
	asked.addresses = append(asked.addresses, nodeAddress(1))
	p.follow(p.now, "node-0000", &asked)
	took := p.until(time.Minute, func() bool { return p.reports["node-0000"].RecheckRound == 7 })
	p.g.Expect(took).To(BeNumerically("<=", time.Second+200*time.Millisecond))
	p.g.Expect(p.reports["node-0000"].Failures).To(ConsistOf(SatisfyAll(
		HaveField("NodePorts", "30001"), HaveField("Addresses", ConsistOf(address)),
		HaveField("Evidence.Pod", "Reached"))))
}

// TestLooksAreSpread: each pair is looked at once per period, at a time of its
// own, and all observers of an address share the period.
func TestLooksAreSpread(t *testing.T) {
	g := NewWithT(t)
	const period = 5 * time.Second
	var turns [10]int
	for slot := range portCount {
		for observer := range uint32(9) {
			t := &dialled{seed: seedOf(nodeAddress(7)), turn: uint32(uint64(observer) << 32 / 9)}
			at := turnAfter(time.Hour, period, t.phase(slot))
			g.Expect(at).To(BeNumerically(">", time.Hour))
			g.Expect(at).To(BeNumerically("<=", time.Hour+period))
			g.Expect(turnAfter(at, period, t.phase(slot))).To(Equal(at + period))
			turns[(at-time.Hour-1)*10/period]++
		}
	}
	for _, n := range turns {
		g.Expect(n).To(BeNumerically("~", portCount*9/10, portCount*9/100))
	}
}
