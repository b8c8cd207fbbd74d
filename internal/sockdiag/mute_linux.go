package sockdiag

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/exposedapp/exposedapp/internal/probe"
)

const (
	// muteRate and muteBurst bound the connections that are made for a look alone.
	muteRate  = 20
	muteBurst = 20

	// neverSent is the least time to live, or number of hops, that the connection
	// takes from its peer. Hosts send TCP with less, nearly all with 64 or 128. What has
	// as much is heard, and then there is nothing to look at.
	neverSent = 255
)

// mutePath returns the way of a connection that was refused: that of another one to
// the same address, made for the look alone, or nothing where there are too many. A
// refusal ends a connection before anybody can look at it, but this one does not
// hear it, nor anything else. It gives up at once.
func (k *Kernel) mutePath(address netip.AddrPort) probe.Path {
	if !k.Tells() || !k.mutes.Allow() {
		return probe.Path{}
	}
	family, to := unix.AF_INET, unix.Sockaddr(nil)
	level, option := unix.IPPROTO_IP, unix.IP_MINTTL
	if address.Addr().Is4() {
		to = &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	} else {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MINHOPCOUNT
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return probe.Path{}
	}
	defer unix.Close(fd)
	// A filter of packets would do as well, but not every kernel lets one be attached
	// without a capability.
	if err := unix.SetsockoptInt(fd, level, option, neverSent); err != nil {
		return probe.Path{}
	}
	if err := unix.Connect(fd, to); !errors.Is(err, unix.EINPROGRESS) {
		return probe.Path{}
	}
	return k.Path(fd, address)
}
