// Package rawsyn asks an address whether it takes connections on a port, by one
// segment that no socket load balancer sees.
//
// A socket load balancer takes what a program connects to elsewhere, at its socket. A
// SYN that is sent from a raw socket leaves for the address itself. What comes back is
// the word of the way through the node: a SYN-ACK that it works, a reset that it is
// refused, and nothing that packets are dropped. No connection comes of it: this
// host's kernel knows of none, and resets what the other side agrees to.
//
// The segment comes from a port that a socket of this host is bound to, which does
// not listen: so no other connection has that port while an answer may come.
//
// It takes the capability NET_RAW.
package rawsyn
