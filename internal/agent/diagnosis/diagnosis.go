// Package diagnosis gathers evidence while a node port of another node does not answer:
// it decides which other paths to the app, or to the proxy that should serve the port,
// are tried when, and what their results say. It makes no probe itself.
package diagnosis

import (
	"net/netip"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/agent/workers"
	"github.com/exposedapp/exposedapp/internal/probe"
)

const (
	// minPause is the least time until a path is tried again.
	minPause = 5 * time.Second

	// maxProbes is how many probes may be under way at once. They count among all of
	// the agent, and take a quarter of the workers at most.
	maxProbes = 4

	// maxApps and maxProxies are of how many apps, each in an IP family, and of
	// how many nodes' proxies evidence is gathered at once.
	maxApps    = 64
	maxProxies = 16

	// healthPort and healthPath are where kube-proxy serves its health, and
	// healthTimeout is how long that may take.
	healthPort    = 10256
	healthPath    = "/healthz"
	healthTimeout = time.Second
)

// Kind is where a path leads.
type Kind uint8

// The kinds of paths. Where the node's own proxy does not answer, no other is expected to.
const (
	ToPod Kind = iota
	ToClusterIP
	ToProxy
	ToOwnProxy
	kinds
)

// Path is a path to an app, by its node port and IP family, or to the proxy at Address.
type Path struct {
	Kind    Kind
	Port    uint16
	IPv6    bool
	Address netip.Addr
}

// ToHealth reports whether a path leads to the health port of a proxy.
func (p Path) ToHealth() bool {
	return p.Kind == ToProxy || p.Kind == ToOwnProxy
}

// Paths are those that explain the failure of a pair, by kind.
type Paths [kinds]Path

// PathsOf returns the paths that explain a failure of port at address. own are the
// addresses of this node.
func PathsOf(address netip.Addr, port uint16, own []netip.Addr) Paths {
	ipv6 := address.Is6()
	paths := Paths{
		{Kind: ToPod, Port: port, IPv6: ipv6},
		{Kind: ToClusterIP, Port: port, IPv6: ipv6},
		{Kind: ToProxy, Address: address},
		{Kind: ToOwnProxy},
	}
	for _, own := range own {
		if own.Is6() == ipv6 {
			paths[ToOwnProxy].Address = own
		}
	}
	return paths
}

// Diagnosis is the state of the gathering of evidence.
type Diagnosis struct {
	pool      *workers.Pool
	service   func(port uint16) *service.Service
	endpoints *service.Sets

	// wanted counts the pairs, in trouble or failing, that have use for a path.
	wanted map[Path]int

	// tried are the wanted paths that are tried, as many as there may be, and tries
	// is their number by kind.
	tried map[Path]*attempts
	tries [kinds]int

	underWay int

	// next is the path that is due first, and due when, as long as sought: until
	// something changes on which that depends.
	next   Path
	due    time.Duration
	sought bool
}

// attempts are the probes of one path.
type attempts struct {
	// target is where the last probe went, and outcome what it found: Reached, a
	// reason, or empty.
	target  netip.AddrPort
	outcome string

	// due is when to try next, 0 at once.
	due      time.Duration
	underWay bool
}

// Probe is a diagnosing probe under way.
type Probe struct {
	Target probe.Target
	Path   Path

	// tried tells apart the probes before and after a recovery.
	tried *attempts
}

// New returns a diagnosis whose probes take workers of pool. lookup returns the Service of
// a node port, nil if there is none, and endpoints are those of all Services.
func New(pool *workers.Pool, lookup func(port uint16) *service.Service, endpoints *service.Sets) Diagnosis {
	return Diagnosis{
		pool: pool, service: lookup, endpoints: endpoints, wanted: map[Path]int{}, tried: map[Path]*attempts{},
	}
}

// Start begins with the paths of one pair, as far as there is room.
func (d *Diagnosis) Start(paths Paths) {
	for _, path := range paths {
		d.wanted[path]++
		d.try(path)
	}
}

// Stop ends the use of one pair for its paths. With the last use of a path, another may
// take its place.
func (d *Diagnosis) Stop(paths Paths) {
	for _, path := range paths {
		d.release(path)
	}
}

// Invalidate takes note that paths may lead elsewhere.
func (d *Diagnosis) Invalidate() {
	d.sought = false
}

// try begins with a path, if there is room for it.
func (d *Diagnosis) try(path Path) {
	room := maxApps
	if path.ToHealth() {
		room = maxProxies
	}
	if d.tried[path] != nil || d.tries[path.Kind] >= room {
		return
	}
	d.sought = false
	d.tries[path.Kind]++
	d.tried[path] = &attempts{}
}

func (d *Diagnosis) release(path Path) {
	if d.wanted[path]--; d.wanted[path] > 0 {
		return
	}
	delete(d.wanted, path)
	if d.tried[path] == nil {
		return
	}
	d.sought = false
	delete(d.tried, path)
	d.tries[path.Kind]--
	if len(d.tried) == len(d.wanted) {
		return
	}
	for next := range d.wanted {
		if next.Kind == path.Kind && d.tried[next] == nil {
			d.try(next)
			return
		}
	}
}

// Begin begins a probe that is due.
func (d *Diagnosis) Begin(now time.Duration) (Probe, bool) {
	if d.Due() > now {
		return Probe{}, false
	}
	tried := d.tried[d.next]
	target, _ := d.targetOf(d.next)
	tried.target, tried.underWay = target.Address, true
	d.sought = false
	d.underWay++
	d.pool.UnderWay++
	return Probe{Target: target, Path: d.next, tried: tried}, true
}

// Due returns when the next probe is due, never if that depends on something else than
// time.
func (d *Diagnosis) Due() time.Duration {
	if d.underWay >= max(1, min(maxProbes, d.pool.Limit/4)) || d.pool.UnderWay >= d.pool.Limit {
		return workers.Never
	}
	if d.sought {
		return d.due
	}
	d.due, d.sought = workers.Never, true
	for path, tried := range d.tried {
		if tried.underWay {
			continue
		}
		target, ok := d.targetOf(path)
		switch {
		case !ok:
			tried.target, tried.outcome = netip.AddrPort{}, ""
			continue
		case tried.target != target.Address:
			// Another pod: what the former found is of no use.
			tried.target, tried.outcome, tried.due = target.Address, "", 0
		}
		if tried.due < d.due {
			d.next, d.due = path, tried.due
		}
	}
	return d.due
}

// Finish takes the result of a probe, and reports whether it changes the evidence. By
// clusterFactor it takes longer until the path is tried again.
func (d *Diagnosis) Finish(now time.Duration, p Probe, result probe.Result, clusterFactor float64) bool {
	d.pool.UnderWay--
	d.underWay--
	d.sought = false
	tried := d.tried[p.Path]
	if tried != p.tried {
		return false
	}
	tried.underWay = false
	if target, ok := d.targetOf(p.Path); !ok || target.Address != p.Target.Address {
		return false
	}
	pause := minPause
	if svc := d.service(p.Path.Port); svc != nil {
		pause = max(pause, svc.Probe.Period)
	}
	tried.due = now + time.Duration(float64(pause)*clusterFactor)
	before := tried.outcome
	switch {
	case result.Reached():
		tried.outcome = v1alpha1.EvidenceReached
	case result.Reason == probe.NotDialled:
		tried.outcome = ""
	default:
		tried.outcome = string(result.Reason)
	}
	alike := MaybeRejected(probe.Reason(before)) && MaybeRejected(result.Reason)
	return before != tried.outcome && !alike
}

// targetOf returns where a path leads now, and false if nowhere.
func (d *Diagnosis) targetOf(path Path) (probe.Target, bool) {
	if path.ToHealth() {
		return probe.Target{
			Address: netip.AddrPortFrom(path.Address, healthPort), Path: healthPath, Timeout: healthTimeout,
		}, path.Address.IsValid()
	}
	svc := d.service(path.Port)
	if svc == nil {
		return probe.Target{}, false
	}
	address := svc.ClusterIP(path.IPv6)
	if path.Kind == ToPod {
		address = d.endpoints.Ready(svc.Key, path.IPv6)
	}
	if !address.IsValid() || !probe.Dialable(address.Addr()) {
		return probe.Target{}, false
	}
	return probe.Target{Address: address, Path: svc.Probe.Path, Timeout: svc.Probe.Timeout}, true
}

// Evidence returns what is known of the paths of a pair.
func (d *Diagnosis) Evidence(paths Paths) v1alpha1.Evidence {
	var outcomes [kinds]string
	for i, path := range paths {
		if tried := d.tried[path]; tried != nil {
			outcomes[i] = tried.outcome
		}
	}
	silent := outcomes[ToProxy] == string(probe.Timeout) || outcomes[ToProxy] == string(probe.NoRoute)
	if outcomes[ToOwnProxy] != v1alpha1.EvidenceReached && !silent {
		// If the node's own proxy has no such port either, a refusal of another's
		// means nothing.
		outcomes[ToProxy] = ""
	}
	return v1alpha1.Evidence{Pod: outcomes[ToPod], ClusterIP: outcomes[ToClusterIP], KubeProxy: outcomes[ToProxy]}
}

// MaybeRejected reports whether a failure may be a proxy's rejection. A proxy rejects
// under a rate limit of its kernel, so with several dead ports on a node refusals
// and silence take turns on each of them. Which it was last is no news; the next
// heartbeat reports it.
func MaybeRejected(reason probe.Reason) bool {
	return reason == probe.ConnectionRefused || reason == probe.Timeout
}
