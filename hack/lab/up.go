package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/defaults"

	"github.com/exposedapp/exposedapp/hack/lab/cluster"
	"github.com/exposedapp/exposedapp/hack/lab/docker"
	"github.com/exposedapp/exposedapp/hack/lab/image"
	"github.com/exposedapp/exposedapp/hack/lab/packages"
	"github.com/exposedapp/exposedapp/hack/lab/preflight"
)

const (
	// checkPatience is how long a cluster that is there may take to prove
	// itself healthy: enough for a busy one, since the alternative is its end.
	checkPatience = 20 * time.Second
	// pullPatience is how long a registry may take to answer.
	pullPatience = 8 * time.Second
	// proxyVariable picks the mode of the cluster's kube-proxy.
	proxyVariable = "LAB_PROXY"
)

// up brings up the cluster with podinfo's image in it. A healthy one is kept,
// anything less is removed first.
func (l *lab) up(ctx context.Context) error {
	c, err := l.cluster()
	if err != nil {
		return err
	}
	healthy, err := l.clearWay(ctx, c)
	if err != nil {
		return err
	}
	if !healthy {
		if err := l.create(ctx, c); err != nil {
			return err
		}
	}
	if err := c.SettleProxyMode(ctx); err != nil {
		return err
	}
	if err := l.loadPodinfo(ctx, c); err != nil {
		return err
	}
	if err := c.Select(); err != nil {
		return err
	}
	l.log.Printf("the cluster is up: kubectl --context kind-%s get nodes", c.Name())
	return nil
}

// clearWay tells whether the cluster is there and healthy, and removes it where
// it is there and not healthy.
func (l *lab) clearWay(ctx context.Context, c *cluster.Cluster) (healthy bool, err error) {
	if !l.reachEngine(ctx) {
		return false, l.clearWreck()
	}
	exists, err := c.Exists(ctx)
	if err != nil || !exists {
		return false, err
	}
	if _, err := l.assetsDir(ctx); err != nil {
		return false, err
	}
	err = l.checkImages(ctx, c)
	if err == nil {
		err = c.Check(ctx, checkPatience)
	}
	if err != nil {
		l.log.Printf("the cluster there is replaced: %v", err)
		return false, c.Delete()
	}
	return true, nil
}

// checkImages returns why the cluster's nodes are not what the lab makes them
// of today, nil where they are.
func (l *lab) checkImages(ctx context.Context, c *cluster.Cluster) error {
	node, err := l.images().Node(kindVersion())
	if err != nil {
		return err
	}
	names, err := c.Images(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != defaults.Image && name != node.Name {
			return fmt.Errorf("its nodes are of the image %s", name)
		}
	}
	return nil
}

// create makes the cluster where there is none.
func (l *lab) create(ctx context.Context, c *cluster.Cluster) error {
	node, err := l.images().Node(kindVersion())
	if err != nil {
		return err
	}
	if err := preflight.Ports(c.Addresses()); err != nil {
		return err
	}
	if err := preflight.Disk(l.space(node.Made()), preflight.Free); err != nil {
		return err
	}
	if err := l.startEngine(ctx); err != nil {
		return err
	}
	if _, err := l.assetsDir(ctx); err != nil {
		return err
	}
	name, err := l.ensureImage(ctx, defaults.Image, node)
	if err != nil {
		return err
	}
	return c.Create(ctx, name)
}

// load loads images from the engine into the nodes.
func (l *lab) load(ctx context.Context, names []string) error {
	c, err := l.cluster()
	if err != nil {
		return err
	}
	l.reachEngine(ctx)
	for _, name := range names {
		if err := c.Load(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) loadPodinfo(ctx context.Context, c *cluster.Cluster) error {
	podinfo, err := l.images().Podinfo()
	if err != nil {
		return err
	}
	name, err := l.ensureImage(ctx, image.PodinfoName, podinfo)
	if err != nil {
		return err
	}
	return c.Load(ctx, name)
}

// ensureImage returns the name of an image that the engine has: the official
// one, or the lab's own where that cannot be pulled. What is there already is
// preferred to both, so that a second run asks no registry.
func (l *lab) ensureImage(ctx context.Context, official string, own image.Image) (string, error) {
	for _, name := range []string{official, own.Name} {
		if docker.ImageID(ctx, name) != "" {
			return name, nil
		}
	}
	if !own.Made() {
		var failure error
		tag, _, _ := strings.Cut(official, "@") // the digest says nothing to a person
		if err := l.log.Do("pulling "+tag, func(io.Writer) error {
			failure = docker.Pull(ctx, official, pullPatience)
			return nil
		}); err != nil || failure == nil {
			return official, err
		}
		l.log.Printf("it cannot be pulled, so the lab builds its own (%v)", failure)
		if err := l.prepareBuild(ctx, own); err != nil {
			return "", err
		}
	}
	parts, err := own.Make(ctx)
	if err != nil {
		return "", err
	}
	return own.Name, l.log.Do("loading "+own.Name+" into the engine", func(out io.Writer) error {
		if err := docker.Load(ctx, parts, out); err != nil || own.Name == official {
			return err
		}
		// The image of an earlier recipe is large, and of no use any more.
		return docker.RemoveOtherTags(ctx, own.Name, out)
	})
}

func (l *lab) prepareBuild(ctx context.Context, own image.Image) error {
	if !own.Privileged {
		return nil
	}
	if err := preflight.Root(os.Geteuid(), "building the node image"); err != nil {
		return err
	}
	return l.installTools(ctx, image.Tools())
}

// installTools installs the packages of the commands that are missing.
func (l *lab) installTools(ctx context.Context, tools map[string]string) error {
	missing := packages.Missing(tools, exec.LookPath)
	if err := preflight.Packages(missing, exec.LookPath); err != nil {
		return err
	}
	return packages.Install(ctx, l.log, missing...)
}

func (l *lab) cluster() (*cluster.Cluster, error) {
	if err := preflight.Platform(runtime.GOOS, runtime.GOARCH); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(l.hack, "lab", "kind.yaml"))
	if err != nil {
		return nil, err
	}
	c, err := cluster.New(raw, filepath.Join(l.assetsPath(), "kubectl"), l.kubeconfig(), l.log)
	if err != nil {
		return nil, err
	}
	if err := c.SetProxyMode(os.Getenv(proxyVariable)); err != nil {
		return nil, fmt.Errorf("%s: %w", proxyVariable, err)
	}
	return c, nil
}

func (l *lab) images() image.Builder {
	return image.Builder{Builder: l.builder, Programs: l.programs, Hack: l.hack}
}

// kubeconfig is a file with the lab's cluster alone: what reads it cannot reach
// another cluster by mistake.
func (l *lab) kubeconfig() string {
	return filepath.Join(l.cache, "kubeconfig")
}

// space is what the disk must have free: made tells whether the node image is
// built.
func (l *lab) space(made bool) []preflight.Space {
	const gb = 1_000_000_000
	needs := []preflight.Space{{Dir: l.cache, Bytes: 4 * gb, For: "the cluster's nodes and images"}}
	if !made {
		needs = append(needs,
			preflight.Space{Dir: l.cache, Bytes: 3 * gb, For: "what the lab builds"},
			preflight.Space{Dir: goCache(), Bytes: 6 * gb, For: "Go's caches"})
	}
	return needs
}

func goCache() string {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return os.TempDir()
	}
	return strings.TrimSpace(string(out))
}

// kindVersion is the version of the kind library in this program.
func kindVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, dependency := range info.Deps {
		if dependency.Path == "sigs.k8s.io/kind" {
			return dependency.Version
		}
	}
	return ""
}
