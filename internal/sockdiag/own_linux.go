package sockdiag

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// ownTime is how long what the kernel said of an address counts.
	ownTime = 2 * time.Second

	// maxKnown is of how many addresses that is remembered, more than an agent dials.
	maxKnown = 256
)

// hosts knows which addresses are of this host. Any number of
// goroutines may ask.
type hosts struct {
	mu    sync.Mutex
	known map[netip.Addr]ownership
}

type ownership struct {
	own bool
	at  time.Time
}

// own reports whether address is, for the kernel, one of this host. If it does not
// say, it is not.
func (h *hosts) own(address netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if known, ok := h.known[address]; ok && now.Sub(known.at) < ownTime {
		return known.own
	}
	if h.known == nil || len(h.known) >= maxKnown {
		h.known = map[netip.Addr]ownership{}
	}
	kind, err := routeKind(address)
	known := ownership{own: err == nil && kind == unix.RTN_LOCAL, at: now}
	h.known[address] = known
	return known.own
}

// routeKind returns the kind of the route that the kernel takes to address. The
// source address of a connection would not tell: that to a second address of an
// interface comes from the first.
func routeKind(address netip.Addr) (byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	family, destination := byte(unix.AF_INET6), address.AsSlice()
	if address.Is4() {
		family = unix.AF_INET
	}
	const attribute = headerSize + unix.SizeofRtMsg
	request := make([]byte, attribute+unix.SizeofRtAttr, attribute+unix.SizeofRtAttr+len(destination))
	binary.NativeEndian.PutUint16(request[4:], unix.RTM_GETROUTE)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST)
	request[headerSize], request[headerSize+1] = family, byte(8*len(destination))
	binary.NativeEndian.PutUint16(request[attribute:], uint16(unix.SizeofRtAttr+len(destination)))
	binary.NativeEndian.PutUint16(request[attribute+2:], unix.RTA_DST)
	request = append(request, destination...)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	if _, err := unix.Write(fd, request); err != nil {
		return 0, err
	}
	answer := make([]byte, 4096)
	length, err := unix.Read(fd, answer)
	if err != nil {
		return 0, err
	}
	m := message(answer[:length])
	if length < attribute || m.kind() != unix.RTM_NEWROUTE {
		return 0, unix.ENETUNREACH
	}
	// After family, lengths, TOS, table, protocol and scope.
	return m[headerSize+7], nil
}
