// Package sockdiag finds out which way the kernel took a TCP connection.
//
// A socket load balancer, such as those of Cilium and of Calico's eBPF dataplane,
// has the kernel connect to a pod where a program asked for a node port. No packet
// then leaves for the node, and getpeername is made to agree with the program. What
// is not made to agree is the kernel's own table of connections, which any process
// may ask for a socket of its network namespace, over NETLINK_SOCK_DIAG.
//
// It is asked for the connection from the socket's local address to the intended
// one, with the socket's cookie. An answer means that the packets left for there.
// None means that they did not, or that the table cannot be asked for TCP at all,
// where the module tcp_diag is missing; so another remote of the socket has to be
// found before a connection counts as translated. Addresses where it may have ended
// are tried first. Only if it is at none of them are all connections looked at,
// which takes longer, and is limited.
//
// A connection is looked at when it is made, or when its maker has waited for long
// enough. One that was refused is not in the table any more: another is made to the
// same address, which hears no refusal, and looked at in its place.
//
// All this needs no privilege. It sees nothing of a translation outside of the
// socket, as at the interface of a pod or of the host.
package sockdiag
