// Package cluster makes, checks and removes the lab's KinD cluster.
package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/yaml"

	"github.com/exposedapp/exposedapp/hack/lab/docker"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// patience is how long a node or CoreDNS may take to become ready. A cluster
// that is ready already answers at once, however busy.
const patience = 3 * time.Minute

// Cluster is one KinD cluster, be it there or not.
type Cluster struct {
	config v1alpha4.Cluster
	log    *step.Log
	// Kubectl is the kubectl to ask it with, Kubeconfig a file of the lab's own
	// with this cluster alone.
	Kubectl, Kubeconfig string
}

// New returns the cluster that a KinD configuration describes.
func New(raw []byte, kubectl, kubeconfig string, log *step.Log) (*Cluster, error) {
	c := &Cluster{log: log, Kubectl: kubectl, Kubeconfig: kubeconfig}
	if err := yaml.UnmarshalStrict(raw, &c.config); err != nil {
		return nil, fmt.Errorf("KinD configuration: %w", err)
	}
	return c, nil
}

// Name is the cluster's name in KinD; its kubeconfig context is kind-NAME.
func (c *Cluster) Name() string { return c.config.Name }

// Addresses are those of this machine, host:port, that the nodes' ports are
// published on.
func (c *Cluster) Addresses() []string {
	var addresses []string
	for _, node := range c.config.Nodes {
		for _, mapping := range node.ExtraPortMappings {
			addresses = append(addresses, net.JoinHostPort(mapping.ListenAddress, strconv.Itoa(int(mapping.HostPort))))
		}
	}
	return addresses
}

// Exists tells whether there is any node of the cluster, running or not.
func (c *Cluster) Exists(ctx context.Context) (bool, error) {
	nodes, err := c.nodes(ctx)
	return len(nodes) > 0, err
}

// nodes returns the state of each of the cluster's containers.
func (c *Cluster) nodes(ctx context.Context) ([]string, error) {
	return c.containers(ctx, "{{.State}}")
}

// Images returns the image that each of the cluster's nodes was made from.
func (c *Cluster) Images(ctx context.Context) ([]string, error) {
	return c.containers(ctx, "{{.Image}}")
}

// containers returns one thing about each of the cluster's containers.
func (c *Cluster) containers(ctx context.Context, format string) ([]string, error) {
	printed, err := docker.Output(ctx, "ps", "--all",
		"--filter=label=io.x-k8s.kind.cluster="+c.Name(), "--format="+format)
	return strings.Fields(printed), err
}

// Check returns why the cluster is not whole and ready, nil where it is.
func (c *Cluster) Check(ctx context.Context, patience time.Duration) error {
	states, err := c.nodes(ctx)
	if err != nil {
		return err
	}
	running := 0
	for _, state := range states {
		if state == "running" {
			running++
		}
	}
	if running != len(c.config.Nodes) {
		return fmt.Errorf("%d of %d nodes run", running, len(c.config.Nodes))
	}
	if err := c.settleFamily(ctx); err != nil {
		return err
	}
	if err := c.provider(io.Discard).ExportKubeConfig(c.Name(), c.Kubeconfig, false); err != nil {
		return err
	}
	timeout := "--timeout=" + patience.String()
	var group errgroup.Group
	group.Go(func() error {
		_, err := c.ask(ctx, patience, "wait", "--for=condition=Ready", "nodes", "--all", timeout)
		return err
	})
	group.Go(func() error {
		_, err := c.ask(ctx, patience, "--namespace=kube-system", "wait", "--for=condition=Available", "deployment/coredns", timeout)
		return err
	})
	group.Go(func() error {
		out, err := c.ask(ctx, patience, "get", "nodes", podSubnets)
		if err != nil {
			return err
		}
		return checkFamily(out, c.config.Networking.IPFamily)
	})
	return group.Wait()
}

// ask runs kubectl, for a little longer than the patience it was given, and
// returns what it prints.
func (c *Cluster) ask(ctx context.Context, patience time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience+5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, c.Kubectl, append([]string{"--kubeconfig=" + c.Kubeconfig}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// Create makes the cluster from a node image, and waits until it is ready.
// Interrupted, it leaves a half-made cluster, which the next check finds.
func (c *Cluster) Create(ctx context.Context, image string) error {
	if err := c.settleFamily(ctx); err != nil {
		return err
	}
	if err := c.log.Do("creating the cluster "+c.Name(), func(out io.Writer) error {
		created := make(chan error, 1)
		go func() {
			created <- c.provider(out).Create(c.Name(),
				kind.CreateWithV1Alpha4Config(c.config.DeepCopy()),
				kind.CreateWithNodeImage(image),
				kind.CreateWithKubeconfigPath(c.Kubeconfig),
				kind.CreateWithDisplayUsage(false),
				kind.CreateWithDisplaySalutation(false),
			)
		}()
		select {
		case err := <-created:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}); err != nil {
		return err
	}
	return c.log.Do("waiting for the nodes and CoreDNS", func(io.Writer) error {
		return c.Check(ctx, patience)
	})
}

// Select writes the cluster's context into the user's kubeconfig and makes it
// the current one.
func (c *Cluster) Select() error {
	return c.provider(io.Discard).ExportKubeConfig(c.Name(), "", false)
}

// Delete removes the cluster, and its context from the user's kubeconfig.
func (c *Cluster) Delete() error {
	return c.log.Do("removing the cluster "+c.Name(), func(out io.Writer) error {
		return c.provider(out).Delete(c.Name(), "")
	})
}

func (c *Cluster) provider(out io.Writer) *kind.Provider {
	return kind.NewProvider(kind.ProviderWithDocker(), kind.ProviderWithLogger(logger{out}))
}
