package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/exposedapp/exposedapp/hack/lab/archive"
	"github.com/exposedapp/exposedapp/hack/lab/artifact"
	"github.com/exposedapp/exposedapp/hack/lab/binaries"
	"github.com/exposedapp/exposedapp/hack/lab/docker"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// fluxRepository is where Flux's kustomize-controller is published.
const fluxRepository = "ghcr.io/fluxcd/kustomize-controller"

// flux installs Flux's kustomize-controller, which applies manifests and waits
// for them. Its usual companion, source-controller, is left out: a source that
// needs no network is an ExternalArtifact, which anybody may write.
func (l *lab) flux(ctx context.Context) error {
	c, err := l.cluster()
	if err != nil {
		return err
	}
	l.reachEngine(ctx)
	program := l.programs["kustomize-controller"]
	name := fluxRepository + ":" + program.Module.Version
	if err := l.ensureFluxImage(ctx, name, program); err != nil {
		return err
	}
	if err := c.Load(ctx, name); err != nil {
		return err
	}
	manifest, err := os.ReadFile(filepath.Join(l.hack, "lab", "flux.yaml"))
	if err != nil {
		return err
	}
	return l.log.Do("installing Flux's kustomize-controller", func(out io.Writer) error {
		apply := []string{"apply", "--server-side", "--force-conflicts", "--filename=-"}
		crds, err := fluxCRDs(ctx, program.Module.Dir, out)
		if err != nil {
			return err
		}
		for _, dir := range crds {
			apply = append(apply, "--filename="+dir)
		}
		for _, args := range [][]string{
			apply,
			{"--namespace=flux-system", "rollout", "status", "deployment/kustomize-controller", "--timeout=3m"},
		} {
			kubectl := exec.CommandContext(ctx, c.Kubectl, append([]string{"--kubeconfig=" + c.Kubeconfig}, args...)...)
			kubectl.Stdin = strings.NewReader(strings.ReplaceAll(string(manifest), "image: "+fluxRepository, "image: "+name))
			if err := step.Exec(kubectl, out); err != nil {
				return err
			}
		}
		return nil
	})
}

// ensureFluxImage makes sure that the engine has kustomize-controller's image:
// the official one, or the lab's own where that cannot be pulled.
func (l *lab) ensureFluxImage(ctx context.Context, name string, program binaries.Program) error {
	if docker.ImageID(ctx, name) != "" {
		return nil
	}
	if !l.builder.Store.Has(program.Name, program.Key()) {
		var failure error
		if err := l.log.Do("pulling "+name, func(io.Writer) error {
			failure = docker.Pull(ctx, name, pullPatience)
			return nil
		}); err != nil || failure == nil {
			return err
		}
		l.log.Printf("it cannot be pulled, so the lab builds its own (%v)", failure)
	}
	path, err := l.builder.Build(ctx, program)
	if err != nil {
		return err
	}
	key := artifact.KeyOf(string(program.Key()), name)
	parts, err := l.builder.Store.Make(ctx, "kustomize-controller-image", key, func(dir string) error {
		root := filepath.Join(dir, "root")
		bin := filepath.Join(root, "usr", "local", "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			return err
		}
		if err := os.Link(path, filepath.Join(bin, program.Name)); err != nil {
			return err
		}
		if err := archive.Create(ctx, dir, name, root, archive.Config{
			User: "65534:65534", Entrypoint: []string{"/usr/local/bin/" + program.Name},
		}, io.Discard); err != nil {
			return err
		}
		return artifact.RemoveTree(root)
	})
	if err != nil {
		return err
	}
	return l.log.Do("loading "+name+" into the engine", func(out io.Writer) error {
		return docker.Load(ctx, parts, out)
	})
}

// fluxCRDs returns the folders with the CRDs of kustomize-controller, whose
// module the go.mod in dir requires, and of the sources that it reads from, as
// of the version that it is compiled with.
func fluxCRDs(ctx context.Context, dir string, out io.Writer) ([]string, error) {
	const bases = "config/crd/bases"
	controller, err := binaries.ModuleDir(ctx, dir, "github.com/fluxcd/kustomize-controller", out)
	if err != nil {
		return nil, err
	}
	var version, found strings.Builder
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", "github.com/fluxcd/source-controller/api")
	list.Dir, list.Stdout = dir, &version
	if err := step.Exec(list, out); err != nil {
		return nil, err
	}
	// The api module has no CRDs. The module that has them carries the same
	// version, and nothing of it is compiled.
	sources := "github.com/fluxcd/source-controller@" + strings.TrimSpace(version.String())
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", sources)
	download.Dir, download.Stdout = dir, &found
	if err := step.Exec(download, out); err != nil {
		return nil, err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal([]byte(found.String()), &module); err != nil {
		return nil, err
	}
	return []string{filepath.Join(controller, bases), filepath.Join(module.Dir, bases)}, nil
}
