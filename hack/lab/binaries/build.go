package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/exposedapp/exposedapp/hack/lab/artifact"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// Builder builds programs into a store.
type Builder struct {
	Store artifact.Store
	Log   *step.Log
}

// Build returns the program's path, and builds it first where the store does
// not have it.
func (b Builder) Build(ctx context.Context, program Program) (string, error) {
	dir, err := b.Store.Make(ctx, program.Name, program.Key(), func(dir string) error {
		title := fmt.Sprintf("building %s %s", program.Name, program.Module.Version)
		return b.Log.Run(title, goBuild(ctx, program.Module.Dir, dir+"/"+program.Name, program.Module.ldflags, program.importPath()))
	})
	return filepath.Join(dir, program.Name), err
}

// BuildOwn is Build for a program of this repository: the main package in the
// folder dir, whose only imports are of the standard library.
func (b Builder) BuildOwn(ctx context.Context, dir string) (string, error) {
	name := filepath.Base(dir)
	key, err := SourceKey(dir)
	if err != nil {
		return "", err
	}
	made, err := b.Store.Make(ctx, name, key, func(made string) error {
		return b.Log.Run("building "+name, goBuild(ctx, dir, made+"/"+name, "-s -w", "."))
	})
	return filepath.Join(made, name), err
}

// Folder returns a folder with the programs in it side by side, as envtest and
// PATH want them.
func (b Builder) Folder(ctx context.Context, name string, programs ...Program) (string, error) {
	var paths []string
	for _, program := range programs {
		path, err := b.Build(ctx, program)
		if err != nil {
			return "", err
		}
		paths = append(paths, path)
	}
	return b.Store.Make(ctx, name, folderKey(programs), func(dir string) error {
		for _, path := range paths {
			// A link costs no space, and outlives the removal of its original.
			if err := os.Link(path, filepath.Join(dir, filepath.Base(path))); err != nil {
				return err
			}
		}
		return nil
	})
}

// FolderPath is where Folder puts the programs, be they built or not.
func (b Builder) FolderPath(name string, programs ...Program) string {
	return b.Store.Path(name, folderKey(programs))
}

func folderKey(programs []Program) artifact.Key {
	var keys []string
	for _, program := range programs {
		keys = append(keys, string(program.Key()))
	}
	return artifact.KeyOf(keys...)
}

// SourceKey hashes the files of a folder.
func SourceKey(dir string) (artifact.Key, error) {
	var inputs []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		inputs = append(inputs, strings.TrimPrefix(path, dir), string(content))
		return err
	})
	return artifact.KeyOf(inputs...), err
}

// ModuleDir returns the folder in which Go's module cache holds the module
// path, as the go.mod in dir requires it.
func ModuleDir(ctx context.Context, dir, path string, out io.Writer) (string, error) {
	var found strings.Builder
	download := exec.CommandContext(ctx, "go", "mod", "download", path)
	download.Dir = dir
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", path)
	list.Dir, list.Stdout = dir, &found
	for _, cmd := range []*exec.Cmd{download, list} {
		if err := step.Exec(cmd, out); err != nil {
			return "", err
		}
	}
	return strings.TrimSpace(found.String()), nil
}

// goBuild builds a static binary. Without the paths of this machine and the
// checkout's revision in it, it is the same wherever it is built.
func goBuild(ctx context.Context, dir, output, ldflags, pkg string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", output, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	return cmd
}
