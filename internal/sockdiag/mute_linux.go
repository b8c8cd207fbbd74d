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
	if address.Addr().Is4() {
		to = &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	} else {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return probe.Path{}
	}
	defer unix.Close(fd)
	deaf := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(deaf)), Filter: &deaf[0]}); err != nil {
		return probe.Path{}
	}
	if err := unix.Connect(fd, to); !errors.Is(err, unix.EINPROGRESS) {
		return probe.Path{}
	}
	return k.Path(fd, address)
}
