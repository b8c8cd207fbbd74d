package rawsyn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/exposedapp/exposedapp/internal/probe"
)

const (
	// againAfter is when the segment is sent once more, in case it was lost. Sooner
	// if less than twice as long is left.
	againAfter = time.Second

	headerSize = 20
	flagsAt    = 13
	fin, syn   = 1 << 0, 1 << 1
	rst, ack   = 1 << 2, 1 << 4
	windowSize = 64240
)

// Check returns an error that says what is missing, if this process may not send.
func Check(ctx context.Context) error {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "ip4:tcp", "127.0.0.1")
	if err != nil {
		return fmt.Errorf("opening a raw socket: %w", err)
	}
	return conn.Close()
}

// Sender sends segments, any number at a time. It is a probe.Asker.
type Sender struct{}

// Ask asks address until ctx ends. The zero Result means that it takes connections;
// silence is a Timeout. An error means that nothing was sent.
func (Sender) Ask(ctx context.Context, address netip.AddrPort) (probe.Result, error) {
	conn, err := dial(ctx, address.Addr())
	if err != nil {
		return probe.Result{}, err
	}
	defer conn.Close()
	source, ok := netip.AddrFromSlice(conn.LocalAddr().(*net.IPAddr).IP)
	if !ok {
		return probe.Result{}, errors.New("a raw socket without an address")
	}
	held, err := hold(source.Unmap())
	if err != nil {
		return probe.Result{}, err
	}
	defer held.Close()
	e := exchange{
		conn:   conn,
		source: held.address,
		target: address,
		number: rand.Uint32(),
	}
	if err := e.listen(); err != nil {
		return probe.Result{}, err
	}
	return e.run(ctx)
}

// dial returns a raw socket that receives TCP segments of address alone.
func dial(ctx context.Context, address netip.Addr) (*net.IPConn, error) {
	network := "ip4:tcp"
	if address.Is6() {
		network = "ip6:tcp"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.IPConn), nil
}

// port is one that is held.
type port struct {
	file    *os.File
	address netip.AddrPort
}

// hold binds a socket, which does not listen, to a free port.
func hold(source netip.Addr) (*port, error) {
	family, name := unix.AF_INET, unix.Sockaddr(nil)
	if source.Is4() {
		name = &unix.SockaddrInet4{Addr: source.As4()}
	} else {
		family, name = unix.AF_INET6, &unix.SockaddrInet6{Addr: source.As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "held port")
	if err := unix.Bind(fd, name); err != nil {
		return nil, errors.Join(os.NewSyscallError("bind", err), file.Close())
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("getsockname", err), file.Close())
	}
	number := 0
	switch bound := bound.(type) {
	case *unix.SockaddrInet4:
		number = bound.Port
	case *unix.SockaddrInet6:
		number = bound.Port
	}
	return &port{file, netip.AddrPortFrom(source, uint16(number))}, nil
}

// Close lets go of the port.
func (p *port) Close() error { return p.file.Close() }

// exchange is a segment and its answer.
type exchange struct {
	conn           *net.IPConn
	source, target netip.AddrPort
	number         uint32
}

// listen has the kernel wake this process for segments of the two ports alone. What
// came before is looked at, and is none of these.
func (e *exchange) listen() error {
	raw, err := e.conn.SyscallConn()
	if err != nil {
		return err
	}
	program, err := bpf.Assemble(e.filter())
	if err != nil {
		return err
	}
	filters := make([]unix.SockFilter, len(program))
	for i, step := range program {
		filters[i] = unix.SockFilter{Code: step.Op, Jt: step.Jt, Jf: step.Jf, K: step.K}
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(filters)), Filter: &filters[0]})
	})
	return errors.Join(err, failed)
}

// filter takes segments from the target's port to the source's. A packet of IPv4
// begins with its own header, one of IPv6 does not.
func (e *exchange) filter() []bpf.Instruction {
	begin := bpf.Instruction(bpf.LoadConstant{Dst: bpf.RegX, Val: 0})
	if e.target.Addr().Is4() {
		begin = bpf.LoadMemShift{Off: 0}
	}
	const whole = 0xffff
	return []bpf.Instruction{
		begin,
		bpf.LoadIndirect{Off: 0, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(e.target.Port()), SkipTrue: 3},
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(e.source.Port()), SkipTrue: 1},
		bpf.RetConstant{Val: whole},
		bpf.RetConstant{Val: 0},
	}
}

// run sends and waits until ctx ends.
func (e *exchange) run(ctx context.Context) (probe.Result, error) {
	silence := probe.Result{Reason: probe.Timeout, Message: "no answer to a raw SYN"}
	end, bounded := ctx.Deadline()
	if !bounded {
		return probe.Result{}, errors.New("a raw SYN without a deadline")
	}
	stop := context.AfterFunc(ctx, func() { _ = e.conn.SetReadDeadline(time.Now()) })
	defer stop()
	again := time.Now().Add(min(againAfter, time.Until(end)/2))
	for _, until := range []time.Time{again, end} {
		if err := e.send(); err != nil {
			return probe.Result{}, err
		}
		if ctx.Err() == nil {
			_ = e.conn.SetReadDeadline(until)
		}
		if result, ok := e.receive(); ok {
			return result, nil
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return probe.Result{}, ctx.Err()
	}
	return silence, nil
}

func (e *exchange) send() error {
	_, err := e.conn.Write(segment(e.source, e.target, e.number))
	// An ICMP message about another connection to the address is told to whoever
	// comes first.
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) {
		_, err = e.conn.Write(segment(e.source, e.target, e.number))
	}
	return err
}

// receive waits for the answer. It passes over ICMP messages, since they may be about
// other connections to the same address.
func (e *exchange) receive() (probe.Result, bool) {
	var packet [128]byte
	for {
		length, err := e.conn.Read(packet[:])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return probe.Result{}, false
		case err != nil:
			continue
		}
		if result, ok := e.read(packet[:length]); ok {
			return result, true
		}
	}
}

// read returns what a packet says, and false if it is no answer to the segment.
func (e *exchange) read(packet []byte) (probe.Result, bool) {
	if e.target.Addr().Is4() {
		if len(packet) == 0 || len(packet) < int(packet[0]&15)*4 {
			return probe.Result{}, false
		}
		packet = packet[int(packet[0]&15)*4:]
	}
	if len(packet) < headerSize ||
		binary.BigEndian.Uint16(packet) != e.target.Port() ||
		binary.BigEndian.Uint16(packet[2:]) != e.source.Port() ||
		binary.BigEndian.Uint32(packet[8:]) != e.number+1 {
		return probe.Result{}, false
	}
	switch packet[flagsAt] & (fin | syn | rst | ack) {
	case syn | ack:
		return probe.Result{}, true
	case rst | ack:
		return probe.Result{Reason: probe.ConnectionRefused, Message: "a raw SYN was refused"}, true
	}
	return probe.Result{}, false
}

// segment returns a SYN.
func segment(source, target netip.AddrPort, number uint32) []byte {
	s := make([]byte, headerSize)
	binary.BigEndian.PutUint16(s, source.Port())
	binary.BigEndian.PutUint16(s[2:], target.Port())
	binary.BigEndian.PutUint32(s[4:], number)
	s[12], s[flagsAt] = headerSize/4<<4, syn
	binary.BigEndian.PutUint16(s[14:], windowSize)
	binary.BigEndian.PutUint16(s[16:], checksum(source.Addr(), target.Addr(), s))
	return s
}

// checksum is that of TCP: of both addresses, the protocol, the length and the
// segment, whose own field is zero.
func checksum(source, target netip.Addr, segment []byte) uint16 {
	sum := uint32(unix.IPPROTO_TCP) + uint32(len(segment))
	for _, part := range [][]byte{source.AsSlice(), target.AsSlice(), segment} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
