package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// most is how many backends a service may have.
const most = 16

// The sizes of an endpoint and of a service's backends, as the kernel's programs
// have them.
const (
	endpointSize = 20
	backendsSize = 4 + most*endpointSize
)

// endpoint is an address, of IPv4 as IPv6 has it, and a port: 16 bytes, 2 bytes in
// network order and 2 of nothing.
type endpoint [endpointSize]byte

// backends is their number, and the endpoints.
type backends [backendsSize]byte

// table has the backends by service.
type table map[endpoint]backends

func endpointOf(text string) (endpoint, error) {
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		return endpoint{}, err
	}
	var e endpoint
	ip := address.Addr().As16()
	copy(e[:], ip[:])
	binary.BigEndian.PutUint16(e[16:], address.Port())
	return e, nil
}

func backendsOf(list string) (backends, error) {
	var b backends
	if list == "" {
		return b, nil
	}
	texts := strings.Split(list, ",")
	if len(texts) > most {
		return b, fmt.Errorf("%d backends: at most %d have room", len(texts), most)
	}
	binary.NativeEndian.PutUint32(b[:], uint32(len(texts)))
	for i, text := range texts {
		e, err := endpointOf(text)
		if err != nil {
			return b, err
		}
		copy(b[4+i*endpointSize:], e[:])
	}
	return b, nil
}

// parse reads a line of input.
func parse(line string) (table, error) {
	services := make(table)
	for field := range strings.FieldsSeq(line) {
		service, list, found := strings.Cut(field, "=")
		if !found {
			return nil, fmt.Errorf("%q is not a service and its backends, as in 192.0.2.1:80=192.0.2.2:8080", field)
		}
		from, err := endpointOf(service)
		if err != nil {
			return nil, err
		}
		to, err := backendsOf(list)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", service, err)
		}
		services[from] = to
	}
	return services, nil
}
