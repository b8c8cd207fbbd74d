package main

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/reporter"
	"github.com/exposedapp/exposedapp/internal/nodeport"
)

// assigned is what the operator asks of an agent.
type assigned struct {
	uid        types.UID
	generation int64
	heartbeat  time.Duration
	size       int
	targets    []assignedTarget
	// round, ports and addresses are what to look at again.
	round     int64
	ports     nodeport.Set
	addresses []netip.Addr
}

type assignedTarget struct {
	node    string
	address netip.Addr
	turn    uint32
}

func assignedOf(object *v1alpha1.NodeReachability) *assigned {
	wanted := &assigned{
		uid:        object.UID,
		generation: object.Generation,
		heartbeat:  time.Duration(object.Spec.HeartbeatSeconds) * time.Second,
		size:       int(object.Spec.ClusterSize),
	}
	for _, target := range object.Spec.Targets {
		turn := uint32(uint64(target.Turn) << 32 / uint64(len(object.Spec.Targets)))
		for _, text := range target.Addresses {
			// The nodes of the bench have addresses of one family.
			address, err := netip.ParseAddr(text)
			if err == nil && address.Is4() {
				wanted.targets = append(wanted.targets, assignedTarget{target.Node, address, turn})
			}
		}
	}
	slices.SortFunc(wanted.targets, func(a, b assignedTarget) int { return a.address.Compare(b.address) })
	if recheck := object.Spec.Recheck; recheck != nil {
		wanted.round = recheck.Round
		// What cannot be read asks for nothing.
		wanted.ports, _ = nodeport.Parse(recheck.NodePorts)
		for _, text := range recheck.Addresses {
			if address, err := netip.ParseAddr(text); err == nil {
				wanted.addresses = append(wanted.addresses, address)
			}
		}
	}
	return wanted
}

// follow takes what is asked of the agent on a node, nil for no more.
func (f *fleetActor) follow(now time.Duration, node string, wanted *assigned) {
	a := f.agents[node]
	if a == nil {
		a = &simulated{
			node: f.breaks.node(node), due: reporter.Never,
			begins: now + time.Duration(rand.Float64()*float64(f.spread)),
		}
		f.agents[node] = a
		heap.Push(&f.queue, a)
	}
	a.wanted = wanted
	if wanted == nil {
		a.running = false
	}
	if a.running {
		f.step(a, now)
		f.assign(a, now)
		f.step(a, now)
	}
	f.plan(a)
}

// assign brings an agent to what is asked of it. Addresses that stay keep what is
// known of them.
func (f *fleetActor) assign(a *simulated, now time.Duration) {
	wanted := a.wanted
	if a.uid == wanted.uid && a.generation == wanted.generation {
		return
	}
	first := a.targets == nil
	if first {
		a.pacer.Forget()
	}
	sameTargets := a.heartbeat == wanted.heartbeat && a.size == wanted.size && slices.EqualFunc(a.targets, wanted.targets,
		func(have dialled, want assignedTarget) bool {
			return have.address == want.address && have.turn == want.turn
		})
	a.uid, a.generation = wanted.uid, wanted.generation
	a.heartbeat, a.size, a.declared = wanted.heartbeat, wanted.size, 0
	before := a.targets
	a.targets, a.pending = make([]dialled, len(wanted.targets)), 0
	for i, want := range wanted.targets {
		t := &a.targets[i]
		if j, known := slices.BinarySearchFunc(before, want.address, func(d dialled, address netip.Addr) int {
			return d.address.Compare(address)
		}); known {
			*t = before[j]
		} else {
			*t = dialled{
				node: f.breaks.node(want.node), address: want.address, own: want.node == a.node.name,
				seed: seedOf(want.address), pending: f.breaks.services, entered: now, spread: crowded(a.heartbeat),
			}
			t.kin.due = reporter.Never
		}
		t.turn = want.turn
		a.pending += t.pending.len()
	}
	a.pacer.Follow(now, a.heartbeat)
	if first || !sameTargets || wanted.round <= a.round {
		a.pacer.Note(now, false)
	}
	f.recheck(a, now)
}

// recheck begins with a request to look again.
func (f *fleetActor) recheck(a *simulated, now time.Duration) {
	if a.wanted.round <= a.round {
		return
	}
	a.round, a.asked = a.wanted.round, now
	for i := range a.targets {
		t := &a.targets[i]
		if !slices.Contains(a.wanted.addresses, t.address) {
			continue
		}
		t.asked, t.askedAt = portBits{}, now
		for port := range a.wanted.ports.All() {
			slot, ok := slotOf(port)
			if !ok || !f.breaks.services.has(slot) {
				continue
			}
			t.asked.set(slot, true)
			took := roundTrip
			if is := f.breaks.at(t.node, slot); is.broken && t.failing.has(slot) {
				took += sure(is, false) - confirming
			} else if is.broken {
				took += sure(is, t.pending.has(slot))
			}
			a.asked = max(a.asked, now+took)
		}
	}
}

// serve takes a node port that is served from now on, or no more.
func (f *fleetActor) serve(now time.Duration, key types.NamespacedName, port uint16, period time.Duration, version uint64) {
	f.services = max(f.services, version)
	slot, ok := slotOf(port)
	before, had := f.ports[key]
	if !had || !ok || before != slot || f.declared[slot] != period {
		if had {
			f.close(before)
			delete(f.ports, key)
		}
		if ok {
			f.ports[key] = slot
			f.open(now, slot, period)
			f.ready.set(slot, f.endpoints[key] != "")
		}
		f.served = nodeport.Of(portsOf(f.breaks.services)...)
	}
	for _, a := range f.agents {
		if !a.running {
			continue
		}
		// As a real agent does for every change of a Service.
		a.pacer.Note(now, false)
		a.declared = 0
		for i := range a.targets {
			if t := &a.targets[i]; ok && t.pending.has(slot) {
				f.glance(a, t, slot, now)
			}
		}
		f.plan(a)
	}
}

func (f *fleetActor) open(now time.Duration, slot int, period time.Duration) {
	f.breaks.services.set(slot, true)
	f.declared[slot], f.entered[slot] = period, now
	f.periods[period]++
	for _, a := range f.agents {
		for i := range a.targets {
			if t := &a.targets[i]; !t.pending.has(slot) {
				t.pending.set(slot, true)
				t.failing.set(slot, false)
				a.pending++
			}
		}
	}
}

func (f *fleetActor) close(slot int) {
	f.breaks.services.set(slot, false)
	if f.periods[f.declared[slot]]--; f.periods[f.declared[slot]] == 0 {
		delete(f.periods, f.declared[slot])
	}
	for _, a := range f.agents {
		for i := range a.targets {
			t := &a.targets[i]
			if t.pending.has(slot) {
				a.pending--
			}
			t.pending.set(slot, false)
			t.failing.set(slot, false)
		}
	}
}

func portsOf(bits portBits) []uint16 {
	var ports []uint16
	for slot := range bits.all() {
		ports = append(ports, portOf(slot))
	}
	return ports
}

// stir takes a change of the endpoints of an app: which are ready, as a text.
func (f *fleetActor) stir(now time.Duration, key types.NamespacedName, ready string) {
	before, known := f.endpoints[key]
	f.endpoints[key] = ready
	slot, served := f.ports[key]
	if !served {
		return
	}
	f.ready.set(slot, ready != "")
	if !known || before == ready {
		return
	}
	f.stirred[slot] = max(now+settling, f.stirred[slot]+stirPause)
	for _, a := range f.agents {
		// One that looks sooner anyway then finds out what this look is about as well.
		if !a.running || a.turned || a.news <= f.stirred[slot] {
			continue
		}
		before := a.news
		for i := range a.targets {
			f.glance(a, &a.targets[i], slot, now)
		}
		if a.news < before {
			f.plan(a)
		}
	}
}
