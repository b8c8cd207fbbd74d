package rawsyn

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/exposedapp/exposedapp/internal/probe"
)

var (
	here  = netip.MustParseAddrPort("10.0.0.9:40000")
	there = netip.MustParseAddrPort("10.0.0.1:31000")
)

// ask asks on the real network of this host.
func ask(t *testing.T, address netip.AddrPort, timeout time.Duration) probe.Result {
	t.Helper()
	if err := Check(t.Context()); err != nil {
		t.Skip("this takes CAP_NET_RAW: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	result, err := Sender{}.Ask(ctx, address)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return result
}

// loopbacks are this host's, by IP family.
func loopbacks() map[string]string { return map[string]string{"IPv4": "127.0.0.1", "IPv6": "::1"} }

func TestAsk(t *testing.T) {
	for name, loopback := range loopbacks() {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
			if err != nil {
				t.Skip(err)
			}
			address := netip.MustParseAddrPort(listener.Addr().String())
			g.Expect(ask(t, address, 5*time.Second)).To(Equal(probe.Result{}))
			g.Expect(listener.Close()).To(Succeed())
			began := time.Now()
			g.Expect(ask(t, address, 5*time.Second).Reason).To(Equal(probe.ConnectionRefused))
			g.Expect(time.Since(began)).To(BeNumerically("<", 2*time.Second))
		})
	}
}

// TestAskTheDeaf asks a listener whose queue is full: nothing comes back.
func TestAskTheDeaf(t *testing.T) {
	g := NewWithT(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = unix.Close(fd) })
	g.Expect(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})).To(Succeed())
	g.Expect(unix.Listen(fd, 0)).To(Succeed())
	name, err := unix.Getsockname(fd)
	g.Expect(err).NotTo(HaveOccurred())
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port))
	filler, err := net.Dial("tcp", address.String())
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = filler.Close() })
	g.Expect(ask(t, address, 300*time.Millisecond).Reason).To(Equal(probe.Timeout))
}

// TestManyAsk: everybody gets their own answer.
func TestManyAsk(t *testing.T) {
	if err := Check(t.Context()); err != nil {
		t.Skip("this takes CAP_NET_RAW: ", err)
	}
	g := NewWithT(t)
	open, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer open.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(closed.Close()).To(Succeed())
	var asking sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for i := range 64 {
		asking.Go(func() {
			address := open.Addr().String()
			if i%2 == 1 {
				address = closed.Addr().String()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			result, err := Sender{}.Ask(ctx, netip.MustParseAddrPort(address))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				got[err.Error()]++
			}
			got[string(result.Reason)+[]string{" of the open", " of the closed"}[i%2]]++
		})
	}
	asking.Wait()
	g.Expect(got).To(Equal(map[string]int{" of the open": 32, "ConnectionRefused of the closed": 32}))
}

// TestRead: only what answers this very segment counts.
func TestRead(t *testing.T) {
	const number = 0xffffffff
	answer := func(change func(segment []byte)) []byte {
		s := make([]byte, headerSize)
		binary.BigEndian.PutUint16(s, there.Port())
		binary.BigEndian.PutUint16(s[2:], here.Port())
		s[flagsAt] = syn | ack
		change(s)
		return append([]byte{0: 0x46, 23: 0}, s...)
	}
	flags := func(flags byte) []byte { return answer(func(s []byte) { s[flagsAt] = flags }) }
	for name, tc := range map[string]struct {
		packet []byte
		result probe.Reason
		ok     bool
	}{
		"SYN-ACK":           {flags(syn | ack), "", true},
		"RST":               {flags(rst | ack), probe.ConnectionRefused, true},
		"RST without ACK":   {flags(rst), "", false},
		"ACK":               {flags(ack), "", false},
		"SYN":               {flags(syn), "", false},
		"FIN":               {flags(fin | ack), "", false},
		"of another number": {answer(func(s []byte) { s[8] = 1 }), "", false},
		"from another port": {answer(func(s []byte) { s[1]++ }), "", false},
		"to another port":   {answer(func(s []byte) { s[3]++ }), "", false},
		"cut off":           {flags(syn | ack)[:43], "", false},
		"a header alone":    {[]byte{0x4f}, "", false},
		"nothing":           {nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := exchange{source: here, target: there, number: number}
			result, ok := e.read(tc.packet)
			g.Expect(ok).To(Equal(tc.ok))
			g.Expect(result.Reason).To(Equal(tc.result))
		})
	}
}
