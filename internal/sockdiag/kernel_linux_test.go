package sockdiag

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/exposedapp/exposedapp/internal/probe"
)

// opened returns the real kernel, which must tell.
func opened(tb testing.TB) *Kernel {
	tb.Helper()
	k, err := Open()
	if err != nil {
		tb.Fatal(err)
	}
	if !k.Tells() {
		tb.Skip("this kernel has no tcp_diag: modprobe tcp_diag")
	}
	return k
}

// TestPathOfRealConnections has the real kernel look at connections to itself.
func TestPathOfRealConnections(t *testing.T) {
	for name, listen := range map[string]string{"IPv4": "127.0.0.1:0", "IPv6": "[::1]:0"} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			k, address := opened(t), listener(t, listen)
			conn, path, err := NewDialer(k).Dial(t.Context(), address)
			g.Expect(err).NotTo(HaveOccurred())
			defer conn.Close()
			// A loopback address is the host's own.
			g.Expect(path).To(Equal(probe.Path{Way: probe.Direct, Own: true}))
		})
	}
}

// TestPathOfMappedConnection: a socket of IPv6 may carry IPv4.
func TestPathOfMappedConnection(t *testing.T) {
	g := NewWithT(t)
	k, address := opened(t), listener(t, "127.0.0.1:0")
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	g.Expect(err).NotTo(HaveOccurred())
	defer unix.Close(fd)
	g.Expect(unix.Connect(fd, &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()})).To(Succeed())
	g.Expect(k.Path(fd, address)).To(Equal(probe.Path{Way: probe.Direct, Own: true}))
	// As if it had been meant for elsewhere.
	k.searches.SetBurst(1)
	meant := netip.MustParseAddrPort("192.0.2.1:31000")
	g.Expect(k.Path(fd, meant)).To(Equal(probe.Path{Way: probe.Translated, Remote: address}))
}

// TestPathOfSilentConnection dials a listener whose queue is full: the connection
// waits for an answer when it is looked at.
func TestPathOfSilentConnection(t *testing.T) {
	for name, family := range map[string]int{"IPv4": unix.AF_INET, "IPv6": unix.AF_INET6} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			k, address := opened(t), deaf(t, family)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			conn, path, err := NewDialer(k).Dial(ctx, address)
			g.Expect(conn).To(BeNil())
			g.Expect(timedOut(err)).To(BeTrue(), "%v", err)
			g.Expect(path).To(Equal(probe.Path{Way: probe.Direct, Own: true}))
		})
	}
}

// TestPathOfRefusedConnection: there is nothing to look at but another one, of which
// there are not too many.
func TestPathOfRefusedConnection(t *testing.T) {
	for name, loopback := range map[string]string{"IPv4": "127.0.0.1", "IPv6": "::1"} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			k := opened(t)
			l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
			if err != nil {
				t.Skip(err)
			}
			g.Expect(l.Close()).To(Succeed())
			d, address := NewDialer(k), netip.MustParseAddrPort(l.Addr().String())
			_, path, err := d.Dial(t.Context(), address)
			g.Expect(err).To(MatchError(syscall.ECONNREFUSED))
			g.Expect(path).To(Equal(probe.Path{Way: probe.Direct, Own: true}))
			k.mutes.SetLimit(0)
			k.mutes.SetBurst(0)
			_, path, err = d.Dial(t.Context(), address)
			g.Expect(err).To(MatchError(syscall.ECONNREFUSED))
			g.Expect(path).To(Equal(probe.Path{Own: true}))
		})
	}
}

// TestDialKeepsNoDescriptor: what is closed by the prober is reset at once, and no
// dial leaves a descriptor behind.
func TestDialKeepsNoDescriptor(t *testing.T) {
	g := NewWithT(t)
	d, address, silent := NewDialer(opened(t)), listener(t, "127.0.0.1:0"), deaf(t, unix.AF_INET)
	before := descriptors(g)
	for range 20 {
		conn, _, err := d.Dial(t.Context(), address)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(conn.Close()).To(Succeed())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, _, err = d.Dial(ctx, silent)
		g.Expect(timedOut(err)).To(BeTrue(), "%v", err)
		cancel()
	}
	// Those of the accepting side are closed when it has seen the end.
	g.Eventually(func() int { return descriptors(g) }).Should(BeNumerically("<=", before))
}

// TestManyAskAtOnce: every one of 128 workers is told of its own connection.
func TestManyAskAtOnce(t *testing.T) {
	g := NewWithT(t)
	d, address := NewDialer(opened(t)), listener(t, "127.0.0.1:0")
	var asking sync.WaitGroup
	var mu sync.Mutex
	ways := map[probe.Way]int{}
	for range 128 {
		asking.Go(func() {
			for range 10 {
				conn, path, err := d.Dial(t.Context(), address)
				if err == nil {
					_ = conn.SetLinger(0)
					_ = conn.Close()
				}
				mu.Lock()
				ways[path.Way]++
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	g.Expect(ways).To(Equal(map[probe.Way]int{probe.Direct: 1280}))
}

// TestSearchFindsAnotherRemote: the real table is searched where nothing else tells
// where a connection leads.
func TestSearchFindsAnotherRemote(t *testing.T) {
	for name, listen := range map[string]string{"IPv4": "127.0.0.1:0", "IPv6": "[::1]:0"} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			k, address := opened(t), listener(t, listen)
			conn, err := net.Dial("tcp", address.String())
			g.Expect(err).NotTo(HaveOccurred())
			defer conn.Close()
			s := socketOfConn(g, conn)
			g.Expect(k.table.find(s)).To(Equal(address))
			s.cookie++
			_, err = k.table.find(s)
			g.Expect(err).To(MatchError(errGone))
		})
	}
}

// TestOwn: the kernel knows the host's addresses, whoever claims them.
func TestOwn(t *testing.T) {
	g := NewWithT(t)
	var h hosts
	// Connections to the second come from the first.
	for _, own := range []string{"127.0.0.1", "127.0.0.77", "::1"} {
		g.Expect(h.own(netip.MustParseAddr(own))).To(BeTrue(), own)
	}
	for _, foreign := range []string{"192.0.2.1", "2001:db8::1"} {
		g.Expect(h.own(netip.MustParseAddr(foreign))).To(BeFalse(), foreign)
	}
	addresses, err := net.InterfaceAddrs()
	g.Expect(err).NotTo(HaveOccurred())
	for _, address := range addresses {
		ip := netip.MustParsePrefix(address.String()).Addr()
		g.Expect(h.own(ip)).To(BeTrue(), ip.String())
	}
}

// TestOwnIsAskedAgain: a host gets and loses addresses while it runs.
func TestOwnIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		loopback := netip.MustParseAddr("127.0.0.1")
		h := hosts{known: map[netip.Addr]ownership{loopback: {at: time.Now()}}}
		g.Expect(h.own(loopback)).To(BeFalse(), "as it was found a moment ago")
		time.Sleep(ownTime)
		g.Expect(h.own(loopback)).To(BeTrue())
		for i := range 10 * maxKnown {
			h.own(netip.AddrFrom4([4]byte{192, 0, byte(2 + i>>8), byte(i)}))
		}
		g.Expect(len(h.known)).To(BeNumerically("<=", maxKnown))
	})
}

// fakeTable is a kernel whose sockets lead to where it says.
type fakeTable struct {
	leads      netip.AddrPort
	guess      []netip.AddrPort
	blind      bool
	gone       bool
	asked      int
	searched   int
	tried      int
	unanswered error
}

func (f *fakeTable) has(_ socket, remote netip.AddrPort) (bool, error) {
	f.asked++
	return !f.blind && !f.gone && remote == f.leads, f.unanswered
}

func (f *fakeTable) find(socket) (netip.AddrPort, error) {
	f.searched++
	switch {
	case f.blind:
		return netip.AddrPort{}, errBlind
	case f.gone:
		return netip.AddrPort{}, errGone
	}
	return f.leads, nil
}

func (f *fakeTable) guesses(remotes []netip.AddrPort, _ socket) []netip.AddrPort {
	return append(remotes, f.guess...)
}

func (f *fakeTable) try() error {
	f.tried++
	if f.blind {
		return errBlind
	}
	return nil
}

var (
	intended = netip.MustParseAddrPort("10.0.0.1:31000")
	pod      = netip.MustParseAddrPort("10.1.0.7:9898")
	otherPod = netip.MustParseAddrPort("10.1.0.8:9898")
)

// TestWayOf goes through what a kernel may say.
func TestWayOf(t *testing.T) {
	for name, test := range map[string]struct {
		table    fakeTable
		way      probe.Way
		remote   netip.AddrPort
		searched int
	}{
		"direct":                  {fakeTable{leads: intended}, probe.Direct, netip.AddrPort{}, 0},
		"translated":              {fakeTable{leads: pod}, probe.Translated, pod, 1},
		"translated, and guessed": {fakeTable{leads: pod, guess: []netip.AddrPort{pod}}, probe.Translated, pod, 0},
		"translated, guessed wrongly": {
			fakeTable{leads: pod, guess: []netip.AddrPort{intended, otherPod}}, probe.Translated, pod, 1,
		},
		"reset meanwhile": {fakeTable{gone: true}, probe.Unseen, netip.AddrPort{}, 1},
		"no answer":       {fakeTable{leads: pod, unanswered: unix.EAGAIN}, probe.Unverified, netip.AddrPort{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			k := newKernel(&test.table)
			k.sighted.Store(true)
			way, remote := k.wayOf(socket{}, intended)
			g.Expect(way).To(Equal(test.way))
			g.Expect(remote).To(Equal(test.remote))
			g.Expect(test.table.searched).To(Equal(test.searched))
		})
	}
}

// TestRemotesAreRemembered: connections that take turns among the pods of an app are
// searched for once per pod.
func TestRemotesAreRemembered(t *testing.T) {
	g := NewWithT(t)
	table := &fakeTable{}
	k := newKernel(table)
	k.sighted.Store(true)
	for i := range 100 {
		table.leads = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i % maxRemotes)}), 9898)
		way, remote := k.wayOf(socket{}, intended)
		g.Expect(way).To(Equal(probe.Translated))
		g.Expect(remote).To(Equal(table.leads))
	}
	g.Expect(table.searched).To(Equal(maxRemotes))
	g.Expect(k.led[intended.Port()]).To(HaveLen(maxRemotes))
}

// TestSearchesAreLimited: beyond the limit a connection counts as translated where
// the kernel is known to answer, and is unverified where it is not.
func TestSearchesAreLimited(t *testing.T) {
	g := NewWithT(t)
	address := listener(t, "127.0.0.1:0")
	conn, err := net.Dial("tcp", address.String())
	g.Expect(err).NotTo(HaveOccurred())
	defer conn.Close()
	s := socketOfConn(g, conn)

	table := &fakeTable{leads: pod}
	k := newKernel(table)
	k.sighted.Store(true)
	k.searches.SetLimit(0)
	k.searches.SetBurst(0)
	way, _ := k.wayOf(s, intended)
	g.Expect(way).To(Equal(probe.Unverified))
	way, _ = k.wayOf(s, pod)
	g.Expect(way).To(Equal(probe.Direct))
	way, remote := k.wayOf(s, intended)
	g.Expect(way).To(Equal(probe.Translated))
	g.Expect(remote).To(Equal(netip.AddrPort{}))
	way, _ = k.wayOf(socket{fd: nothing}, intended)
	g.Expect(way).To(Equal(probe.Unverified), "it may have been closed")
	g.Expect(table.searched).To(BeZero())
}

// TestBlindKernel: a kernel without tcp_diag is not asked for every connection,
// since it looks for a module each time, and is asked again in the end.
func TestBlindKernel(t *testing.T) {
	g := NewWithT(t)
	table := &fakeTable{blind: true, leads: intended}
	k := newKernel(table)
	k.sighted.Store(true)
	for range 100 {
		way, _ := k.wayOf(socket{}, intended)
		g.Expect(way).To(Equal(probe.Unverified))
	}
	g.Expect(table.asked).To(Equal(1))
	g.Expect(k.Tells()).To(BeFalse())

	table.blind = false
	k.tried.Store(new(time.Now().Add(-trialPause)))
	g.Expect(k.Tells()).To(BeFalse())
	g.Eventually(k.Tells).Should(BeTrue())
	way, _ := k.wayOf(socket{}, intended)
	g.Expect(way).To(Equal(probe.Direct))
	g.Expect(table.tried).To(Equal(1))
}

// TestNobodyWaitsForLong: who holds the kernel up does not hold up the others.
func TestNobodyWaitsForLong(t *testing.T) {
	g := NewWithT(t)
	k := newKernel(&fakeTable{leads: intended})
	k.sighted.Store(true)
	k.slot <- struct{}{}
	way, _ := k.wayOf(socket{}, intended)
	g.Expect(way).To(Equal(probe.Unverified))
}

// TestMessages: what the kernel says at the end of a look at all connections is
// understood, and what it would never say does no harm.
func TestMessages(t *testing.T) {
	g := NewWithT(t)
	done := func(errno unix.Errno) []byte {
		m := make([]byte, headerSize+4)
		binary.NativeEndian.PutUint32(m, uint32(len(m)))
		binary.NativeEndian.PutUint16(m[4:], unix.NLMSG_DONE)
		binary.NativeEndian.PutUint32(m[headerSize:], uint32(-int32(errno)))
		return m
	}
	_, err := eachOf(done(unix.ENOENT), nil)
	g.Expect(err).To(MatchError(errBlind))
	last, err := eachOf(done(0), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(last).To(BeTrue())
	_, err = eachOf(done(unix.EPERM), nil)
	g.Expect(err).To(MatchError(unix.EPERM))
	for _, broken := range [][]byte{make([]byte, headerSize), {255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}} {
		_, err = eachOf(broken, nil)
		g.Expect(err).To(HaveOccurred())
	}
}

func BenchmarkPath(b *testing.B) {
	k, address := opened(b), listener(b, "127.0.0.1:0")
	conn, err := net.Dial("tcp", address.String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	s := socketOfConn(NewWithT(b), conn)
	b.ReportAllocs()
	for b.Loop() {
		if path := k.Path(s.fd, address); path.Way != probe.Direct {
			b.Fatal(path)
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	k := opened(b)
	for b.Loop() {
		if err := k.table.try(); err != nil {
			b.Fatal(err)
		}
	}
}

// listener accepts connections until the test ends, and waits for their ends.
func listener(tb testing.TB, address string) netip.AddrPort {
	tb.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		tb.Skip(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.Close()
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// deaf is a listener whose queue is full, so that the kernel drops what comes.
func deaf(tb testing.TB, family int) netip.AddrPort {
	tb.Helper()
	g := NewWithT(tb)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	g.Expect(err).NotTo(HaveOccurred())
	tb.Cleanup(func() { _ = unix.Close(fd) })
	var loopback unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if family == unix.AF_INET6 {
		loopback = &unix.SockaddrInet6{Addr: [16]byte{15: 1}}
	}
	if err := unix.Bind(fd, loopback); err != nil {
		tb.Skip(err)
	}
	g.Expect(unix.Listen(fd, 0)).To(Succeed())
	name, err := unix.Getsockname(fd)
	g.Expect(err).NotTo(HaveOccurred())
	filler, err := net.Dial("tcp", addrPortOf(name).String())
	g.Expect(err).NotTo(HaveOccurred())
	tb.Cleanup(func() { _ = filler.Close() })
	return addrPortOf(name)
}

func socketOfConn(g Gomega, conn net.Conn) (s socket) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(raw.Control(func(fd uintptr) {
		s.fd = int(fd)
		s.cookie, err = unix.GetsockoptUint64(s.fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	})).To(Succeed())
	g.Expect(err).NotTo(HaveOccurred())
	s.local = conn.LocalAddr().(*net.TCPAddr).AddrPort()
	s.ipv6 = s.local.Addr().Is6()
	return s
}

func descriptors(g Gomega) int {
	entries, err := os.ReadDir("/proc/self/fd")
	g.Expect(err).NotTo(HaveOccurred())
	return len(entries)
}

// BenchmarkDial and BenchmarkDialUnwatched make and reset the same connection.
func BenchmarkDial(b *testing.B) {
	benchmarkDial(b, NewDialer(opened(b)))
}

func BenchmarkDialUnwatched(b *testing.B) {
	benchmarkDial(b, &probe.Unwatched{Dialer: net.Dialer{KeepAlive: -1}})
}

func benchmarkDial(b *testing.B, dialer probe.Dialer) {
	address := listener(b, "127.0.0.1:0")
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		conn, _, err := dialer.Dial(ctx, address)
		if err != nil {
			b.Fatal(err)
		}
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
}
