package sockdiag

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/exposedapp/exposedapp/internal/probe"
)

// Dialer makes TCP connections, and has a look at each before anything else can
// happen to it: at those that were made, and at those without an answer. It is a
// probe.Dialer.
type Dialer struct {
	kernel   *Kernel
	attempts sync.Pool
}

// NewDialer returns a Dialer that asks kernel.
func NewDialer(kernel *Kernel) *Dialer {
	d := &Dialer{kernel: kernel}
	d.attempts.New = func() any {
		a := &attempt{kept: nothing}
		a.dialer = net.Dialer{KeepAlive: -1, ControlContext: a.keep}
		return a
	}
	return d
}

// Dial makes a connection.
func (d *Dialer) Dial(ctx context.Context, address netip.AddrPort) (*net.TCPConn, probe.Path, error) {
	address = netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	a := d.attempts.Get().(*attempt)
	defer d.attempts.Put(a)
	defer a.drop()
	conn, err := a.dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, address)
	switch {
	case a.kept == nothing:
		return conn, probe.Path{Own: d.kernel.hosts.own(address.Addr())}, err
	case err != nil && !timedOut(err):
		path := d.kernel.mutePath(address)
		path.Own = d.kernel.hosts.own(address.Addr())
		return nil, path, err
	case err != nil:
		return nil, d.kernel.Path(a.kept, address), err
	}
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	return conn, d.kernel.pathOf(socket{fd: a.kept, ipv6: address.Addr().Is6(), local: local}, address), err
}

// timedOut reports whether a dial was given up while its socket was waiting. One
// that the kernel gave up is not in its table any more.
func timedOut(err error) bool {
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return false
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// nothing is the descriptor of no socket.
const nothing = -1

// attempt is one dial. It keeps a descriptor of the socket, because package net
// closes its own where a dial fails, and with the last one the socket is gone. It
// drops that before the prober closes the connection, which is to be reset then.
type attempt struct {
	dialer net.Dialer
	kept   int
}

// keep is called for each socket of a dial. Package net takes a second one in rare
// cases.
func (a *attempt) keep(_ context.Context, _, _ string, c syscall.RawConn) error {
	a.drop()
	return c.Control(func(fd uintptr) {
		// Without a descriptor there is nothing to look at, and the dial is as good.
		if kept, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			a.kept = kept
		}
	})
}

func (a *attempt) drop() {
	if a.kept != nothing {
		_ = unix.Close(a.kept)
		a.kept = nothing
	}
}
