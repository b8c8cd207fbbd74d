package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/exposedapp/exposedapp/hack/lab/docker"
)

// podSubnets makes kubectl print a line for each node: its name, and the subnets
// of its pods.
const podSubnets = `--output=jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDRs[*]}{"\n"}{end}`

// network is the engine's network that KinD connects nodes to, and makes where
// there is none: with IPv6 where the engine can.
func network() string {
	return cmp.Or(os.Getenv("KIND_EXPERIMENTAL_DOCKER_NETWORK"), "kind")
}

// settleFamily leaves IPv6 out of the configuration where the engine has none,
// and says so. It can be told only of an engine that runs.
func (c *Cluster) settleFamily(ctx context.Context) error {
	if c.config.Networking.IPFamily != v1alpha4.DualStackFamily {
		return nil
	}
	lack, err := docker.LackOfIPv6(ctx, network())
	if err != nil || lack == "" {
		return err
	}
	c.config.Networking.IPFamily = v1alpha4.IPv4Family
	c.log.Printf("the cluster has IPv4 alone: %s", lack)
	return nil
}

// checkFamily returns why what podSubnets makes kubectl print is not of a
// cluster of the family, nil where it is.
func checkFamily(printed string, want v1alpha4.ClusterIPFamily) error {
	for line := range strings.Lines(printed) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		got, err := familyOf(fields[1:])
		if err != nil {
			return fmt.Errorf("node %s: %w", fields[0], err)
		}
		if got != want {
			return fmt.Errorf("node %s has the IP family %q, not %q", fields[0], got, want)
		}
	}
	return nil
}

// familyOf returns the IP family of a node with these subnets, none of one
// without.
func familyOf(subnets []string) (v1alpha4.ClusterIPFamily, error) {
	var four, six bool
	for _, subnet := range subnets {
		prefix, err := netip.ParsePrefix(subnet)
		if err != nil {
			return "", err
		}
		if prefix.Addr().Is4() {
			four = true
		} else {
			six = true
		}
	}
	switch {
	case four && six:
		return v1alpha4.DualStackFamily, nil
	case four:
		return v1alpha4.IPv4Family, nil
	case six:
		return v1alpha4.IPv6Family, nil
	}
	return "", nil
}
