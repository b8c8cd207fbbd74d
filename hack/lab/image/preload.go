package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/exposedapp/exposedapp/hack/lab/archive"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// preloadedImage is an image inside the node image: what a cluster runs before
// it could pull anything.
type preloadedImage struct {
	name string
	// program is its only file, at folder; none where the image is the network
	// root alone.
	program, folder string
	// network is true for an image that changes the node's network, and has the
	// tools for it: the network root of setup.sh.
	network bool
	// entrypoint is set where the pod's manifest does not name the program.
	entrypoint []string
}

func (i preloadedImage) programs() []string {
	if i.program == "" || i.program == "pause" {
		return nil
	}
	return []string{i.program}
}

func (b Builder) preloaded() []preloadedImage {
	const bin = "usr/local/bin"
	images := []preloadedImage{{
		// The tag is the one that KinD's containerd configuration names.
		name: "registry.k8s.io/pause:3.10", program: "pause", entrypoint: []string{"/pause"},
	}, {
		name:    "registry.k8s.io/coredns/coredns:" + b.Programs["coredns"].Module.Version,
		program: "coredns", entrypoint: []string{"/coredns"},
	}, {
		name:    "registry.k8s.io/etcd:" + strings.TrimPrefix(b.Programs["etcd"].Module.Version, "v") + "-0",
		program: "etcd", folder: bin,
	}, {
		name: "registry.k8s.io/kube-proxy:" + b.version(), program: "kube-proxy", folder: bin, network: true,
	}, {
		// The name is the one in cni.yaml.
		name: "localhost/node-network:lab", network: true,
	}}
	for _, program := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		images = append(images, preloadedImage{
			name: "registry.k8s.io/" + program + ":" + b.version(), program: program, folder: bin,
		})
	}
	return images
}

// preload fills the store of the node's containerd, in root, with the preloaded
// images; dir is a folder to work in.
func (b Builder) preload(ctx context.Context, dir, root string) error {
	networkRoot := filepath.Join(dir, "network-root")
	if err := os.Rename(filepath.Join(root, "network-root"), networkRoot); err != nil {
		return err
	}
	var made []string
	for i, image := range b.preloaded() {
		parts := filepath.Join(dir, fmt.Sprintf("image-%d", i))
		if err := b.makePreloaded(ctx, parts, networkRoot, image); err != nil {
			return fmt.Errorf("image %s: %w", image.name, err)
		}
		made = append(made, parts)
	}
	if err := b.Log.Do("node image: loading the cluster's images into it", func(out io.Writer) error {
		if err := b.checkRequired(ctx, root, out); err != nil {
			return err
		}
		return b.importInto(ctx, dir, root, made, out)
	}); err != nil {
		return err
	}
	for _, folder := range append(made, networkRoot) {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

// makePreloaded makes one of the preloaded images in the folder parts.
func (b Builder) makePreloaded(ctx context.Context, parts, networkRoot string, image preloadedImage) error {
	root := filepath.Join(parts, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if image.network {
		if err := os.CopyFS(root, os.DirFS(networkRoot)); err != nil {
			return err
		}
	}
	if image.program == "pause" {
		path, err := b.BuildOwn(ctx, filepath.Join(b.Hack, "pause"))
		if err != nil {
			return err
		}
		if err := link(path, filepath.Join(root, "pause")); err != nil {
			return err
		}
	}
	for _, program := range image.programs() {
		if err := b.install(ctx, program, filepath.Join(root, image.folder)); err != nil {
			return err
		}
	}
	return pack(ctx, parts, image.name, root, archive.Config{Env: []string{searchPath}, Entrypoint: image.entrypoint}, io.Discard)
}

// checkRequired compares the preloaded images with those that kubeadm will ask
// for: after a new version of Kubernetes it says which one is missing, rather
// than let a cluster wait for it.
func (b Builder) checkRequired(ctx context.Context, root string, out io.Writer) error {
	var listed strings.Builder
	list := exec.CommandContext(ctx, filepath.Join(root, "usr/bin/kubeadm"), "config", "images", "list", "--kubernetes-version", b.version())
	list.Stdout = &listed
	if err := step.Exec(list, out); err != nil {
		return err
	}
	for required := range strings.FieldsSeq(listed.String()) {
		known := slices.ContainsFunc(b.preloaded(), func(image preloadedImage) bool { return image.name == required })
		// KinD chooses the pause image's tag, not kubeadm.
		if !known && !strings.Contains(required, "/pause:") {
			return fmt.Errorf("kubeadm %s asks for %s, which is not among the images made here", b.version(), required)
		}
	}
	return nil
}

// importInto runs the node's containerd on this machine, its store in root, and
// imports the images there. They stay packed: a node unpacks what it runs.
func (b Builder) importInto(ctx context.Context, dir, root string, images []string, out io.Writer) (err error) {
	state := filepath.Join(dir, "containerd")
	socket := filepath.Join(state, "containerd.sock")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(state)
	config := filepath.Join(state, "config.toml")
	if err := os.WriteFile(config, []byte(importConfig(filepath.Join(root, "var/lib/containerd"), state, socket)), 0o644); err != nil {
		return err
	}
	containerd := exec.CommandContext(ctx, filepath.Join(root, "usr/local/bin/containerd"), "--config", config)
	containerd.Stdout, containerd.Stderr = out, out
	if err := containerd.Start(); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, containerd.Process.Signal(syscall.SIGTERM), containerd.Wait())
	}()

	ctr := func(args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, filepath.Join(root, "usr/local/bin/ctr"),
			append([]string{"--address", socket, "--namespace", "k8s.io", "images"}, args...)...)
	}
	for attempt := 0; ctr("list", "--quiet").Run() != nil; attempt++ {
		if attempt == 100 {
			return errors.New("containerd does not answer")
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, image := range images {
		load := ctr("import", "--label=io.cri-containerd.pinned=pinned", "--all-platforms", "--no-unpack", "--digests", "-")
		reader := archive.Reader(image)
		load.Stdin = reader
		err := step.Exec(load, out)
		reader.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// importConfig turns off what would touch this machine outside the two folders.
func importConfig(root, state, socket string) string {
	return fmt.Sprintf(`version = 3
root = %q
state = %q
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
  "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri",
]
[grpc]
address = %q
`, root, state, socket)
}
