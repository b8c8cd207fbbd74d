// Package binaries builds upstream programs from their Go modules.
//
// Each upstream has a folder below hack/modules with a go.mod and go.sum of its
// own: what is built is pinned and verified there, and the project's own go.mod
// stays free of it. A program is an artifact whose key covers those two files,
// the build's flags and the Go version.
package binaries

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/exposedapp/exposedapp/hack/lab/artifact"
)

// Module is an upstream: one folder below hack/modules.
type Module struct {
	// Dir is the folder with its go.mod.
	Dir string
	// Path is the upstream's module path, Version the one its go.mod requires.
	Path, Version string

	ldflags string
	key     artifact.Key
}

// Program is one binary of a module.
type Program struct {
	Module Module
	// Name is the binary's file name.
	Name string
	// Package is its import path relative to the module's.
	Package string
}

// Key hashes everything that the program is made from.
func (p Program) Key() artifact.Key {
	return artifact.KeyOf(string(p.Module.key), p.Name, p.Package)
}

func (p Program) importPath() string {
	return strings.TrimSuffix(p.Module.Path+"/"+p.Package, "/")
}

// Catalog has the programs that the lab builds, by name.
type Catalog map[string]Program

// Load reads the modules' folders in dir, which is hack/modules of the checkout.
func Load(dir string) (Catalog, error) {
	upstreams := []struct {
		folder, path string
		// versionFlags says how the version is stamped into the programs, where
		// something reads it from there.
		versionFlags func(version string) string
		// programs maps a binary's name to its package within the module.
		programs map[string]string
	}{
		{"kubernetes", "k8s.io/kubernetes", kubernetesVersion, map[string]string{
			"kube-apiserver":          "cmd/kube-apiserver",
			"kube-controller-manager": "cmd/kube-controller-manager",
			"kube-proxy":              "cmd/kube-proxy",
			"kube-scheduler":          "cmd/kube-scheduler",
			"kubeadm":                 "cmd/kubeadm",
			"kubectl":                 "cmd/kubectl",
			"kubelet":                 "cmd/kubelet",
		}},
		{"etcd", "go.etcd.io/etcd/server/v3", unstamped, map[string]string{"etcd": ""}},
		{"coredns", "github.com/coredns/coredns", unstamped, map[string]string{"coredns": ""}},
		{"containerd", "github.com/containerd/containerd/v2", containerdVersion, map[string]string{
			"containerd":              "cmd/containerd",
			"containerd-shim-runc-v2": "cmd/containerd-shim-runc-v2",
			"ctr":                     "cmd/ctr",
		}},
		{"cni", "github.com/containernetworking/plugins", unstamped, map[string]string{
			"host-local": "plugins/ipam/host-local",
			"loopback":   "plugins/main/loopback",
			"portmap":    "plugins/meta/portmap",
			"ptp":        "plugins/main/ptp",
		}},
		{"podinfo", "github.com/stefanprodan/podinfo", unstamped, map[string]string{"podinfo": "cmd/podinfo"}},
		{"flux", "github.com/fluxcd/kustomize-controller", unstamped, map[string]string{"kustomize-controller": ""}},
	}
	catalog := Catalog{}
	for _, upstream := range upstreams {
		module, err := load(filepath.Join(dir, upstream.folder), upstream.path, upstream.versionFlags)
		if err != nil {
			return nil, err
		}
		for name, pkg := range upstream.programs {
			catalog[name] = Program{Module: module, Name: name, Package: pkg}
		}
	}
	return catalog, nil
}

func load(dir, path string, versionFlags func(string) string) (Module, error) {
	var files [2][]byte
	for i, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return Module{}, err
		}
		files[i] = content
	}
	version, err := requiredVersion(files[0], path)
	if err != nil {
		return Module{}, fmt.Errorf("%s: %w", dir, err)
	}
	ldflags := strings.TrimSpace("-s -w " + versionFlags(version))
	return Module{
		Dir:     dir,
		Path:    path,
		Version: version,
		ldflags: ldflags,
		key: artifact.KeyOf(string(files[0]), string(files[1]), ldflags,
			runtime.Version(), runtime.GOOS, runtime.GOARCH),
	}, nil
}

func requiredVersion(gomod []byte, path string) (string, error) {
	file, err := modfile.Parse("go.mod", gomod, nil)
	if err != nil {
		return "", err
	}
	for _, require := range file.Require {
		if require.Mod.Path == path {
			return require.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("go.mod does not require %s", path)
}

func unstamped(string) string { return "" }

// kubernetesVersion stamps what kubeadm compares with the cluster's version and
// the API server reports as its own.
func kubernetesVersion(version string) string {
	const pkg = "k8s.io/component-base/version"
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return fmt.Sprintf("-X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", pkg, version, major, minor)
}

func containerdVersion(version string) string {
	return "-X github.com/containerd/containerd/v2/version.Version=" + version
}
