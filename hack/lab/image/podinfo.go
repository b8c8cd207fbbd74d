package image

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/exposedapp/exposedapp/hack/lab/archive"
	"github.com/exposedapp/exposedapp/hack/lab/binaries"
)

// PodinfoName is the image that ExposedApp runs unless told otherwise.
const PodinfoName = "ghcr.io/stefanprodan/podinfo:6.9.2"

// Podinfo is a podinfo image laid out like the official one.
func (b Builder) Podinfo() (Image, error) {
	key, err := b.key([]string{"podinfo"}, []string{"builder.go", "podinfo.go"})
	return Image{Name: PodinfoName, builder: b, artifact: "podinfo-image", key: key, build: b.buildPodinfo}, err
}

func (b Builder) buildPodinfo(ctx context.Context, dir string) error {
	root := filepath.Join(dir, "root")
	home := filepath.Join(root, "home/app")
	if err := b.install(ctx, "podinfo", home); err != nil {
		return err
	}
	return b.Log.Do("podinfo image: packing", func(out io.Writer) error {
		program := b.Programs["podinfo"]
		module, err := binaries.ModuleDir(ctx, program.Module.Dir, program.Module.Path, out)
		if err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(home, "ui"), os.DirFS(filepath.Join(module, "ui"))); err != nil {
			return err
		}
		return pack(ctx, dir, PodinfoName, root, archive.Config{
			User:       "100:101",
			Env:        []string{searchPath},
			Cmd:        []string{"./podinfo"},
			WorkingDir: "/home/app",
		}, out)
	})
}
