package sockdiag

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"github.com/exposedapp/exposedapp/internal/probe"
)

const (
	// patience is how long a look waits for those before it, each of which takes
	// microseconds unless the kernel is held up.
	patience = time.Second

	// trialPause is the time between two trials of a kernel that did not answer. Each
	// makes it look for a module to load.
	trialPause = 30 * time.Second

	// trialTime is how long Open waits for the first of them.
	trialTime = time.Second

	// searchRate and searchBurst bound the looks at all connections of the host,
	// which take a millisecond where its table is large.
	searchRate  = 10
	searchBurst = 20

	// proofTime is how long an answer proves that the kernel answers.
	proofTime = time.Minute

	// maxRemotes is how many remotes are remembered of a port.
	maxRemotes = 8
)

var (
	// errBlind: the kernel cannot be asked about TCP.
	errBlind = errors.New("the kernel has no tcp_diag")

	// errGone: there is no such connection any more.
	errGone = errors.New("no such connection")
)

// socket is an open TCP socket as the kernel knows it.
type socket struct {
	fd     int
	ipv6   bool
	local  netip.AddrPort
	cookie uint64
}

// table is the kernel's table of connections.
type table interface {
	// has reports whether the connection of s leads to remote.
	has(s socket, remote netip.AddrPort) (bool, error)
	// find returns where the connection of s leads, by a look at all.
	find(s socket) (netip.AddrPort, error)
	// try returns errBlind if the kernel cannot be asked.
	try() error
	// guesses appends to remotes where s may lead.
	guesses(remotes []netip.AddrPort, s socket) []netip.AddrPort
}

// Kernel knows which way connections took. Any number of goroutines may ask.
type Kernel struct {
	table    table
	searches *rate.Limiter
	mutes    *rate.Limiter
	hosts    hosts

	// slot is held by who asks. What follows it belongs to its holder: when the
	// kernel last had what it was asked for, and where connections to a port led,
	// the newest first.
	slot   chan struct{}
	proven time.Time
	led    map[uint16][]netip.AddrPort

	// sighted is whether the kernel answers, trying whether a trial is under way,
	// and tried when the last one ended.
	sighted, trying atomic.Bool
	tried           atomic.Pointer[time.Time]
}

// Open returns a Kernel. It fails if the kernel has no such table at all; if that
// just answers nothing about TCP, all connections are unverified until it does.
func Open() (*Kernel, error) {
	table, err := openNetlink()
	if err != nil {
		return nil, fmt.Errorf("opening a socket of NETLINK_SOCK_DIAG: %w", err)
	}
	k := newKernel(table)
	// The kernel may look for a module, and take as long as it likes.
	ended := make(chan struct{})
	k.trying.Store(true)
	go func() {
		k.try()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(trialTime):
	}
	return k, nil
}

func newKernel(table table) *Kernel {
	return &Kernel{
		table:    table,
		searches: rate.NewLimiter(searchRate, searchBurst),
		mutes:    rate.NewLimiter(muteRate, muteBurst),
		slot:     make(chan struct{}, 1),
		led:      map[uint16][]netip.AddrPort{},
	}
}

// Tells reports whether the kernel answers which way connections took. If not, it is
// asked again every now and then.
func (k *Kernel) Tells() bool {
	if k.sighted.Load() {
		return true
	}
	tried := k.tried.Load()
	if (tried == nil || time.Since(*tried) >= trialPause) && k.trying.CompareAndSwap(false, true) {
		go k.try()
	}
	return false
}

// try makes a trial, of which there is one at a time.
func (k *Kernel) try() {
	k.sighted.Store(k.table.try() == nil)
	k.tried.Store(new(time.Now()))
	k.trying.Store(false)
}

// Path returns where the open TCP socket fd, connected or about to be, leads in
// place of intended. It never waits for a peer.
func (k *Kernel) Path(fd int, intended netip.AddrPort) probe.Path {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return probe.Path{}
	}
	_, ipv6 := name.(*unix.SockaddrInet6)
	return k.pathOf(socket{fd: fd, ipv6: ipv6, local: addrPortOf(name)}, intended)
}

// pathOf takes a socket without its cookie.
func (k *Kernel) pathOf(s socket, intended netip.AddrPort) probe.Path {
	var err error
	if s.cookie, err = unix.GetsockoptUint64(s.fd, unix.SOL_SOCKET, unix.SO_COOKIE); err != nil {
		return probe.Path{}
	}
	path := probe.Path{Own: s.local.Addr() == intended.Addr() || k.hosts.own(intended.Addr())}
	path.Way, path.Remote = k.wayOf(s, intended)
	return path
}

func (k *Kernel) wayOf(s socket, intended netip.AddrPort) (probe.Way, netip.AddrPort) {
	if !k.Tells() || !k.enter() {
		return probe.Unverified, netip.AddrPort{}
	}
	defer k.leave()
	has, err := k.table.has(s, intended)
	switch {
	case err != nil:
		return probe.Unverified, netip.AddrPort{}
	case has:
		k.proven = time.Now()
		return probe.Direct, netip.AddrPort{}
	}
	var room [maxRemotes + 2]netip.AddrPort
	for _, remote := range k.table.guesses(append(room[:0], k.led[intended.Port()]...), s) {
		if remote == intended {
			continue
		}
		if has, err := k.table.has(s, remote); err == nil && has {
			k.proven = time.Now()
			k.remember(intended.Port(), remote)
			return probe.Translated, remote
		}
	}
	return k.search(s, intended)
}

// enter takes the slot, unless that takes too long.
func (k *Kernel) enter() bool {
	select {
	case k.slot <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case k.slot <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (k *Kernel) leave() { <-k.slot }

// search looks for s among all connections of the host.
func (k *Kernel) search(s socket, intended netip.AddrPort) (probe.Way, netip.AddrPort) {
	if !k.searches.Allow() {
		// The kernel has every connection that is open. One that it does not have
		// where it was to lead leads elsewhere, if the kernel answers at all.
		if !k.proven.IsZero() && time.Since(k.proven) < proofTime && open(s.fd) {
			return probe.Translated, netip.AddrPort{}
		}
		return probe.Unverified, netip.AddrPort{}
	}
	remote, err := k.table.find(s)
	switch {
	case errors.Is(err, errGone):
		return probe.Unseen, netip.AddrPort{}
	case errors.Is(err, errBlind):
		k.tried.Store(new(time.Now()))
		k.sighted.Store(false)
		return probe.Unverified, netip.AddrPort{}
	case err != nil:
		return probe.Unverified, netip.AddrPort{}
	case remote == intended:
		return probe.Direct, netip.AddrPort{}
	}
	k.remember(intended.Port(), remote)
	return probe.Translated, remote
}

// remember has remote tried first for the next connection to port.
func (k *Kernel) remember(port uint16, remote netip.AddrPort) {
	led := slices.DeleteFunc(k.led[port], func(r netip.AddrPort) bool { return r == remote })
	k.led[port] = slices.Insert(led[:min(len(led), maxRemotes-1)], 0, remote)
}

// open reports whether a connection is in the kernel's table.
func open(fd int) bool {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && openStates&(1<<info.State) != 0
}

// addrPortOf returns an address of IPv4 as one, on a socket of IPv6 too.
func addrPortOf(name unix.Sockaddr) netip.AddrPort {
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), uint16(name.Port))
	}
	return netip.AddrPort{}
}
