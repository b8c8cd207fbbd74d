// Package agentgen builds what the tests of an agent's packages begin with: Services as the
// agent keeps them, and results of probes.
package agentgen

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/probe"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// OnPorts returns IPv4 Services, one on each port.
func OnPorts(ports ...uint16) []service.Service {
	var services []service.Service
	for _, port := range ports {
		services = append(services, service.Service{
			Key:   types.NamespacedName{Name: fmt.Sprint(port)},
			Port:  port,
			IPv4:  true,
			Probe: protocol.DecodeProbe(""),
		})
	}
	return services
}

// Addresses parses addresses.
func Addresses(texts ...string) []netip.Addr {
	var addresses []netip.Addr
	for _, text := range texts {
		addresses = append(addresses, netip.MustParseAddr(text))
	}
	return addresses
}

// Refused is the result of a dial that is refused.
func Refused() probe.Result {
	return probe.Result{Reason: probe.ConnectionRefused, Message: "connect: connection refused"}
}

// TimedOut is the result of a dial that nobody answers.
func TimedOut() probe.Result {
	return probe.Result{Reason: probe.Timeout, Message: "i/o timeout"}
}

// Along is a result, found by a way.
func Along(result probe.Result, way probe.Way) probe.Result {
	result.Path.Way = way
	return result
}

// Elsewhere is a result, found at a pod in place of the address.
func Elsewhere(result probe.Result, remote netip.AddrPort) probe.Result {
	result.Path = probe.Path{Way: probe.Translated, Remote: remote}
	return result
}

// AtHome is a result, found on this host.
func AtHome(result probe.Result) probe.Result {
	result.Path = probe.Path{Way: probe.Direct, Own: true}
	return result
}
