package sockdiag

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The layout of messages, in bytes: a header, and a request (inet_diag_req_v2) or
// an answer (inet_diag_msg). Both have the ID of a connection in them.
const (
	headerSize  = unix.SizeofNlMsghdr
	requestSize = headerSize + 56
	answerSize  = headerSize + 72

	requestID = headerSize + 8
	answerID  = headerSize + 4

	idSourcePort      = 0
	idDestinationPort = 2
	idSource          = 4
	idDestination     = 20
	idCookie          = 40
)

const (
	sockDiagByFamily = 20

	established = 1
	synSent     = 2
	closeWait   = 8

	// openStates are those in which a connection can be looked at.
	openStates = 1<<established | 1<<synSent | 1<<closeWait

	// maxStale is how many answers to former requests are passed over.
	maxStale = 16

	// maxDatagrams bounds a look at all connections. One of the right port and
	// family is found in the first, which holds hundreds.
	maxDatagrams = 64
)

// netlink is the table of connections, asked over a socket that stays open. Of has,
// one call may be under way.
//
// The messages are made by hand: there is one request and one answer, of fixed
// length, and hundreds per second. A library's peek at every answer and its garbage
// would cost more than the kernel's work.
type netlink struct {
	fd       int
	sequence uint32
	request  [requestSize]byte
	answer   [4096]byte
}

// openNetlink opens the socket. It does not block: the kernel has answered when the
// request is sent.
func openNetlink() (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	return &netlink{fd: fd}, nil
}

func (n *netlink) has(s socket, remote netip.AddrPort) (bool, error) {
	n.sequence++
	putRequest(&n.request, n.sequence, unix.NLM_F_REQUEST, s.ipv6)
	id := n.request[requestID:]
	putPort(id[idSourcePort:], s.local.Port())
	putPort(id[idDestinationPort:], remote.Port())
	putAddress(id[idSource:], s.local.Addr(), s.ipv6)
	putAddress(id[idDestination:], remote.Addr(), s.ipv6)
	binary.NativeEndian.PutUint64(id[idCookie:], s.cookieWords())
	if _, err := unix.Write(n.fd, n.request[:]); err != nil {
		return false, err
	}
	for range maxStale {
		length, err := unix.Read(n.fd, n.answer[:])
		if err != nil {
			return false, err
		}
		m := message(n.answer[:length])
		if m.sequence() != n.sequence {
			continue
		}
		if m.kind() == unix.NLMSG_ERROR {
			return false, ignoreNotFound(m.errno())
		}
		return m.kind() == sockDiagByFamily, nil
	}
	return false, unix.EAGAIN
}

// cookieWords returns the cookie as the kernel has it, its lower word first.
func (s socket) cookieWords() uint64 {
	var words [8]byte
	binary.NativeEndian.PutUint32(words[:], uint32(s.cookie))
	binary.NativeEndian.PutUint32(words[4:], uint32(s.cookie>>32))
	return binary.NativeEndian.Uint64(words[:])
}

func ignoreNotFound(errno unix.Errno) error {
	if errno == unix.ENOENT || errno == 0 {
		return nil
	}
	return errno
}

func (n *netlink) find(s socket) (netip.AddrPort, error) {
	var remote netip.AddrPort
	err := dump(s.ipv6, s.local.Port(), func(id []byte) {
		if binary.NativeEndian.Uint64(id[idCookie:]) == s.cookieWords() {
			remote = netip.AddrPortFrom(addressOf(id[idDestination:], s.ipv6), binary.BigEndian.Uint16(id[idDestinationPort:]))
		}
	})
	if err == nil && !remote.IsValid() {
		err = errGone
	}
	return remote, err
}

// try asks for what there is not. A kernel that cannot be asked says so.
func (n *netlink) try() error {
	return dump(false, 1, func([]byte) {})
}

// guesses: netfilter knows where a connection led before it was translated, if by
// itself, and takes the translated one for that; and not every load balancer hides
// the peer.
func (n *netlink) guesses(remotes []netip.AddrPort, s socket) []netip.AddrPort {
	if s.ipv6 {
		if info, err := unix.GetsockoptIPv6MTUInfo(s.fd, unix.SOL_IPV6, unix.SO_ORIGINAL_DST); err == nil {
			var port [2]byte
			binary.NativeEndian.PutUint16(port[:], info.Addr.Port)
			remotes = append(remotes, netip.AddrPortFrom(netip.AddrFrom16(info.Addr.Addr).Unmap(), binary.BigEndian.Uint16(port[:])))
		}
	} else if raw, err := unix.GetsockoptIPv6Mreq(s.fd, unix.SOL_IP, unix.SO_ORIGINAL_DST); err == nil {
		// A sockaddr_in in the place of what is as long.
		name := raw.Multiaddr[:]
		remotes = append(remotes, netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[4:8])), binary.BigEndian.Uint16(name[2:])))
	}
	if peer, err := unix.Getpeername(s.fd); err == nil {
		remotes = append(remotes, addrPortOf(peer))
	}
	return remotes
}

// dump calls each for the ID of every open connection of a family from a port. It
// takes a socket of its own, so that what is left of it when it fails is in nobody's
// way.
func dump(ipv6 bool, port uint16, each func(id []byte)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var request [requestSize]byte
	putRequest(&request, 1, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, ipv6)
	putPort(request[requestID+idSourcePort:], port)
	if _, err := unix.Write(fd, request[:]); err != nil {
		return err
	}
	buffer := make([]byte, 32<<10)
	for range maxDatagrams {
		length, err := unix.Read(fd, buffer)
		if err != nil {
			return err
		}
		if done, err := eachOf(buffer[:length], each); done || err != nil {
			return err
		}
	}
	return unix.ENOBUFS
}

// eachOf calls each for the IDs in a datagram, and reports whether it is the last.
func eachOf(datagram []byte, each func(id []byte)) (bool, error) {
	for len(datagram) >= headerSize {
		m := message(datagram)
		length := int(m.length())
		if length < headerSize || length > len(datagram) {
			return false, unix.EBADMSG
		}
		switch {
		case m.kind() == unix.NLMSG_DONE || m.kind() == unix.NLMSG_ERROR:
			if errno := m.errno(); errno == unix.ENOENT {
				return true, errBlind
			} else if errno != 0 {
				return true, errno
			}
			return true, nil
		case m.kind() == sockDiagByFamily && length >= answerSize:
			each(m[answerID:answerSize])
		}
		datagram = datagram[min(len(datagram), (length+3)&^3):]
	}
	return false, nil
}

// message begins with a header.
type message []byte

func (m message) length() uint32   { return binary.NativeEndian.Uint32(m) }
func (m message) kind() uint16     { return binary.NativeEndian.Uint16(m[4:]) }
func (m message) sequence() uint32 { return binary.NativeEndian.Uint32(m[8:]) }

// errno returns the error of a message that has one, 0 for success.
func (m message) errno() unix.Errno {
	if len(m) < headerSize+4 {
		return 0
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(m[headerSize:])))
}

// putRequest fills in all but the ID.
func putRequest(request *[requestSize]byte, sequence uint32, flags uint16, ipv6 bool) {
	clear(request[:])
	binary.NativeEndian.PutUint32(request[0:], requestSize)
	binary.NativeEndian.PutUint16(request[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(request[6:], flags)
	binary.NativeEndian.PutUint32(request[8:], sequence)
	body := request[headerSize:]
	body[0], body[1] = unix.AF_INET, unix.IPPROTO_TCP
	if ipv6 {
		body[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(body[4:], openStates)
}

func putPort(id []byte, port uint16) {
	binary.BigEndian.PutUint16(id, port)
}

func putAddress(id []byte, address netip.Addr, ipv6 bool) {
	if ipv6 {
		mapped := address.As16()
		copy(id, mapped[:])
	} else if address.Is4() {
		plain := address.As4()
		copy(id, plain[:])
	}
}

func addressOf(id []byte, ipv6 bool) netip.Addr {
	if ipv6 {
		return netip.AddrFrom16([16]byte(id[:16])).Unmap()
	}
	return netip.AddrFrom4([4]byte(id[:4]))
}
