package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// appAnswer is what an app says, about as long as podinfo's answer.
const appAnswer = `{
  "hostname": "podinfo-6d5d5b8f9c-x2x7k",
  "version": "6.9.2",
  "revision": "e86405a8674ecab990d0a389824c7ebbd82973b5",
  "color": "#34577c",
  "logo": "https://raw.githubusercontent.com/stefanprodan/podinfo/gh-pages/cuddle_clap.gif",
  "message": "greetings from podinfo v6.9.2",
  "goos": "linux",
  "goarch": "amd64",
  "runtime": "go1.25.1",
  "num_goroutine": "8",
  "num_cpu": "4"
}`

// siteNodes are addresses on which every node port answers, as the nodes of a
// cluster would.
type siteNodes struct {
	addresses []netip.Addr
	listeners map[uint16]*net.TCPListener

	// served is the number of connections that came.
	served atomic.Int64

	mu        sync.Mutex
	recording bool
	arrivals  []arrival
}

// arrival is when a connection came, and to which target.
type arrival struct {
	at     time.Time
	target netip.AddrPort
}

// startSiteNodes makes as many nodes, with the node ports from first to last, for
// the time of the benchmark.
func startSiteNodes(ctx context.Context, b *bench, count int, first, last uint16) (*siteNodes, error) {
	n := &siteNodes{listeners: make(map[uint16]*net.TCPListener)}
	address := netip.MustParsePrefix(benchRange).Addr()
	for range count {
		address = address.Next()
		n.addresses = append(n.addresses, address)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			// The peer that no longer listens is the other side's concern.
			_, _ = io.WriteString(w, appAnswer)
		}),
		ConnContext:       n.note,
		ReadHeaderTimeout: 10 * time.Second,
	}
	b.cleanup(func() { _ = server.Close() })
	// One socket per port takes the connections to all addresses.
	var config net.ListenConfig
	// Sockets of Multipath TCP take no filter.
	config.SetMultipathTCP(false)
	for port := first; port <= last; port++ {
		listener, err := config.Listen(ctx, "tcp4", fmt.Sprintf("0.0.0.0:%d", port))
		if err != nil {
			return nil, fmt.Errorf("listening on node port %d: %w", port, err)
		}
		n.listeners[port] = listener.(*net.TCPListener)
		// It ends with the server.
		go func() { _ = server.Serve(listener) }()
	}
	return n, nil
}

// control does something with the descriptor of a socket.
func control(conn syscall.RawConn, do func(fd int) error) error {
	var failure error
	if err := conn.Control(func(fd uintptr) { failure = do(int(fd)) }); err != nil {
		return err
	}
	return failure
}

// note counts a new connection.
func (n *siteNodes) note(ctx context.Context, conn net.Conn) context.Context {
	at := time.Now()
	n.served.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.recording {
		n.arrivals = append(n.arrivals, arrival{at, conn.LocalAddr().(*net.TCPAddr).AddrPort()})
	}
	return ctx
}

// record returns the connections that come within a while, in the order in which
// they come.
func (n *siteNodes) record(ctx context.Context, while time.Duration) ([]arrival, error) {
	n.mu.Lock()
	n.recording, n.arrivals = true, nil
	n.mu.Unlock()
	err := sleep(ctx, while)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recording = false
	return n.arrivals, err
}

// darken makes a node port fall silent on one address: the kernel drops what
// comes for it, the SYN and all that follows, as if it had never arrived.
func (n *siteNodes) darken(target netip.AddrPort) error {
	conn, err := n.listeners[target.Port()].SyscallConn()
	if err != nil {
		return err
	}
	filter := dropping(target.Addr())
	return control(conn, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	})
}

// lighten makes a node port answer again on all addresses.
func (n *siteNodes) lighten(port uint16) error {
	conn, err := n.listeners[port].SyscallConn()
	if err != nil {
		return err
	}
	return control(conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	})
}

// dropping is a filter for a socket of IPv4 that drops the packets to an
// address.
func dropping(address netip.Addr) []unix.SockFilter {
	// The filter sees the packet from its TCP header on. What is before that has
	// negative places, which the kernel calls SKF_NET_OFF.
	const networkHeader = 1<<32 - 0x100000
	const destination = networkHeader + 16
	octets := address.As4()
	value := uint32(octets[0])<<24 | uint32(octets[1])<<16 | uint32(octets[2])<<8 | uint32(octets[3])
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: destination},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: value},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},
	}
}
