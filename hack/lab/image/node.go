package image

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/exposedapp/exposedapp/hack/lab/archive"
	"github.com/exposedapp/exposedapp/hack/lab/binaries"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

const (
	kindModule = "sigs.k8s.io/kind"
	// debianRelease still has a systemd that runs under cgroup v1.
	debianRelease = "bookworm"
)

// Node is the node image of the catalog's Kubernetes version. kindVersion is
// that of the kind library: the node's own scripts and units come from its
// module.
func (b Builder) Node(kindVersion string) (Image, error) {
	pause, err := binaries.SourceKey(filepath.Join(b.Hack, "pause"))
	if err != nil {
		return Image{}, err
	}
	programs := slices.Sorted(maps.Keys(nodePrograms()))
	for _, image := range b.preloaded() {
		programs = append(programs, image.programs()...)
	}
	recipes := []string{"builder.go", "files", "node.go", "preload.go"}
	key, err := b.key(programs, recipes, kindVersion, string(pause))
	if err != nil {
		return Image{}, err
	}
	name := "exposedapp.dev/kind-node:" + b.version() + "-" + string(key)
	return Image{
		Name:       name,
		Privileged: true,
		builder:    b,
		artifact:   "node-image",
		key:        key,
		build:      func(ctx context.Context, dir string) error { return b.buildNode(ctx, dir, name) },
	}, nil
}

// version is the Kubernetes version.
func (b Builder) version() string {
	return b.Programs["kubelet"].Module.Version
}

// nodePrograms maps the programs that run on the node itself to their folders.
func nodePrograms() map[string]string {
	return map[string]string{
		"kubeadm":                 "usr/bin",
		"kubectl":                 "usr/bin",
		"kubelet":                 "usr/bin",
		"containerd":              "usr/local/bin",
		"containerd-shim-runc-v2": "usr/local/bin",
		"ctr":                     "usr/local/bin",
		"host-local":              "opt/cni/bin",
		"loopback":                "opt/cni/bin",
		"portmap":                 "opt/cni/bin",
		"ptp":                     "opt/cni/bin",
	}
}

func (b Builder) buildNode(ctx context.Context, dir, name string) error {
	root := filepath.Join(dir, "root")
	if err := b.Log.Run("node image: installing Debian "+debianRelease, debootstrap(ctx, root)); err != nil {
		return err
	}
	for program, folder := range nodePrograms() {
		if err := b.install(ctx, program, filepath.Join(root, folder)); err != nil {
			return err
		}
	}
	if err := b.Log.Do("node image: making a KinD node of it", func(out io.Writer) error {
		if err := b.copyKindFiles(ctx, root, out); err != nil {
			return err
		}
		if err := b.copyOwnFiles(root); err != nil {
			return err
		}
		return b.setUp(ctx, root, out)
	}); err != nil {
		return err
	}
	if err := b.preload(ctx, dir, root); err != nil {
		return err
	}
	return b.Log.Do("node image: packing", func(out io.Writer) error {
		return pack(ctx, dir, name, root, archive.Config{
			// systemd asks for this variable and this signal in a container.
			Env:        []string{searchPath, "container=docker"},
			StopSignal: "SIGRTMIN+3",
			Entrypoint: []string{"/usr/local/bin/entrypoint", "/sbin/init"},
		}, out)
	})
}

func debootstrap(ctx context.Context, root string) *exec.Cmd {
	packages := []string{
		// init and the units' runtime
		"systemd", "systemd-sysv", "dbus", "procps", "hostname", "kmod", "mount", "util-linux",
		// networking: kube-proxy's, the CNI's and the kubelet's tools
		"conntrack", "ethtool", "iproute2", "iptables", "netbase", "nftables",
		// containers
		"runc", "libseccomp2", "pigz", "e2fsprogs",
		// what KinD's scripts call
		"bash", "ca-certificates", "curl", "jq",
	}
	return exec.CommandContext(ctx, "debootstrap", "--variant=minbase",
		"--include="+strings.Join(packages, ","), debianRelease, root)
}

// copyKindFiles copies the base files of KinD's own node image.
func (b Builder) copyKindFiles(ctx context.Context, root string, out io.Writer) error {
	module, err := binaries.ModuleDir(ctx, b.Hack, kindModule, out)
	if err != nil {
		return err
	}
	base := filepath.Join(module, "images", "base", "files")
	return filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name := strings.TrimPrefix(path, base)
		// The module cache keeps no modes.
		mode := fs.FileMode(0o644)
		if filepath.Base(filepath.Dir(name)) == "bin" {
			mode = 0o755
		}
		return copyFile(path, filepath.Join(root, name), mode)
	})
}

// copyOwnFiles adds what KinD looks for in a node image besides its base files.
func (b Builder) copyOwnFiles(root string) error {
	return errors.Join(
		copyFile(b.recipe("files", "cni.yaml"), filepath.Join(root, "kind/manifests/default-cni.yaml"), 0o644),
		copyFile(b.recipe("files", "storage.yaml"), filepath.Join(root, "kind/manifests/default-storage.yaml"), 0o644),
		os.WriteFile(filepath.Join(root, "kind/version"), []byte(b.version()), 0o644),
	)
}

func (b Builder) setUp(ctx context.Context, root string, out io.Writer) error {
	script, err := os.Open(b.recipe("files", "setup.sh"))
	if err != nil {
		return err
	}
	defer script.Close()
	cmd := exec.CommandContext(ctx, "chroot", root, "/bin/bash", "-s")
	cmd.Env, cmd.Stdin = []string{searchPath}, script
	return step.Exec(cmd, out)
}

func copyFile(from, to string, mode fs.FileMode) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, mode)
}
