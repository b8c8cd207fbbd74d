package protocol

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
)

// Recheck asks an agent for results that are newer than the request, of each of Ports on
// each of Addresses. Round is 0 where nothing is asked.
type Recheck struct {
	Round     int64
	Ports     nodeport.Set
	Addresses []netip.Addr
}

// Covers reports whether a pair is asked for.
func (r *Recheck) Covers(address netip.Addr, nodePort int32) bool {
	return r.Ports.Contains(uint16(nodePort)) && slices.Contains(r.Addresses, address)
}

// Encode returns the spec.recheck of a NodeReachability.
func (r Recheck) Encode() v1alpha1.Recheck {
	encoded := v1alpha1.Recheck{Round: r.Round, NodePorts: r.Ports.String()}
	for _, address := range r.Addresses {
		encoded.Addresses = append(encoded.Addresses, address.String())
	}
	return encoded
}

// DecodeRecheck reads the spec.recheck of a NodeReachability, nil for none. Of one that
// cannot be read it returns the round alone, beside the error.
func DecodeRecheck(recheck *v1alpha1.Recheck) (Recheck, error) {
	if recheck == nil {
		return Recheck{}, nil
	}
	ports, err := nodeport.Parse(recheck.NodePorts)
	if err != nil {
		return Recheck{Round: recheck.Round}, fmt.Errorf("reading the node ports of round %d: %w", recheck.Round, err)
	}
	decoded := Recheck{Round: recheck.Round, Ports: ports}
	for _, text := range recheck.Addresses {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return Recheck{Round: recheck.Round}, fmt.Errorf("reading the addresses of round %d: %w", recheck.Round, err)
		}
		decoded.Addresses = append(decoded.Addresses, address.Unmap())
	}
	return decoded, nil
}
