// Package image builds the container images that cannot be pulled here: KinD's
// node image and podinfo's. No container engine takes part: a root folder is
// made and packed, and where an image must hold other images, containerd's own
// store is filled inside that folder.
package image

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/exposedapp/exposedapp/hack/lab/archive"
	"github.com/exposedapp/exposedapp/hack/lab/artifact"
	"github.com/exposedapp/exposedapp/hack/lab/binaries"
)

// searchPath is the PATH that the images set.
const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Builder builds images into the store of its binaries.
type Builder struct {
	binaries.Builder
	Programs binaries.Catalog
	// Hack is the checkout's hack folder.
	Hack string
}

// Image is an image that can be built, and may have been.
type Image struct {
	Name string
	// Privileged is true where building it takes root, and the tools of Tools.
	Privileged bool

	builder  Builder
	artifact string
	key      artifact.Key
	build    func(ctx context.Context, dir string) error
}

// Tools maps the commands that a privileged image is built with to their
// packages.
func Tools() map[string]string {
	return map[string]string{"debootstrap": "debootstrap"}
}

// Made tells whether the image is in the store.
func (i Image) Made() bool {
	return i.builder.Store.Has(i.artifact, i.key)
}

// Make returns the folder with the image's parts, as package archive makes
// them, and builds it first where the store does not have it.
func (i Image) Make(ctx context.Context) (string, error) {
	return i.builder.Store.Make(ctx, i.artifact, i.key, func(dir string) error { return i.build(ctx, dir) })
}

func (b Builder) recipe(path ...string) string {
	return filepath.Join(append([]string{b.Hack, "lab", "image"}, path...)...)
}

// key covers the programs in an image and the files of this folder that make it,
// or all in a folder of it: a change of how an image is made makes it anew, and
// no other.
func (b Builder) key(programs, recipes []string, more ...string) (artifact.Key, error) {
	inputs := more
	for _, name := range recipes {
		recipe, err := binaries.SourceKey(b.recipe(name))
		if err != nil {
			return "", err
		}
		inputs = append(inputs, name, string(recipe))
	}
	for _, name := range programs {
		inputs = append(inputs, string(b.Programs[name].Key()))
	}
	return artifact.KeyOf(inputs...), nil
}

// install puts a program into a folder of an image's root.
func (b Builder) install(ctx context.Context, program, dir string) error {
	path, err := b.Build(ctx, b.Programs[program])
	if err != nil {
		return err
	}
	return link(path, filepath.Join(dir, program))
}

// link gives a file a second name, and makes the folder for it.
func link(path, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.Link(path, name)
}

// pack is archive.Create for a root that is not needed any more afterwards.
func pack(ctx context.Context, dir, name, root string, config archive.Config, out io.Writer) error {
	if err := archive.Create(ctx, dir, name, root, config, out); err != nil {
		return err
	}
	return artifact.RemoveTree(root)
}
