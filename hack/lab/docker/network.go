package docker

import (
	"context"
	"fmt"
)

const (
	// trial is a network that is made to see whether the engine can, and removed
	// at once. Its subnet is of the range for private use; nothing ever has an
	// address in it.
	trial       = "exposedapp-ipv6-trial"
	trialSubnet = "fdea:79b5:c0de::/64"
)

// LackOfIPv6 returns why containers in a network have no IPv6 addresses, or
// would have none where the network is yet to be made; nothing where they have.
func LackOfIPv6(ctx context.Context, network string) (string, error) {
	enabled, err := Output(ctx, "network", "ls", "--filter=name=^"+network+"$", "--format={{.IPv6}}")
	if err != nil {
		return "", err
	}
	switch enabled {
	case "true":
		return "", nil
	case "false":
		return fmt.Sprintf("the engine's network %s was made without IPv6 (`docker network rm %s` lets it be made anew)", network, network), nil
	}
	// One that an interrupted trial left behind would be in the way.
	_, _ = Output(ctx, "network", "rm", trial)
	if _, err := Output(ctx, "network", "create", "--ipv6", "--subnet="+trialSubnet, trial); err != nil {
		return fmt.Sprintf("the engine makes no network with IPv6 (%v)", err), nil
	}
	_, err = Output(ctx, "network", "rm", trial)
	return "", err
}
