package probe

import (
	"context"
	"net"
	"net/netip"
)

// Way is which way the kernel of this host took a dial.
type Way uint8

const (
	// Unseen: there was nothing to look at, as with a connection that was refused.
	// The caller may know the way of similar dials.
	Unseen Way = iota

	// Direct: the packets left for the address that was dialled.
	Direct

	// Translated: they left for another address, as a socket load balancer has it.
	// The dial says nothing about the address.
	Translated

	// Unverified: the kernel does not tell.
	Unverified
)

// Path is where a dial led.
type Path struct {
	Way Way

	// Remote is where a translated dial led instead. It is the zero AddrPort if
	// that is not known.
	Remote netip.AddrPort

	// Proven is whether a translated dial was made good for: the address was asked in
	// a way that is not translated, and the result is about that.
	Proven bool

	// Own is whether the address is one of this host's own, whichever node claims it.
	Own bool
}

// Dialer makes TCP connections, and returns which way the kernel took them, also for a
// dial that failed.
type Dialer interface {
	Dial(ctx context.Context, address netip.AddrPort) (*net.TCPConn, Path, error)
}

// Unwatched is a Dialer that sees no path. The others are in package sockdiag.
type Unwatched struct{ net.Dialer }

// Dial makes a connection.
func (d *Unwatched) Dial(ctx context.Context, address netip.AddrPort) (*net.TCPConn, Path, error) {
	conn, err := d.DialTCP(ctx, "tcp", netip.AddrPort{}, address)
	return conn, Path{}, err
}
