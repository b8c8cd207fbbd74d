package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/exposedapp/exposedapp/hack/lab/docker"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// Load copies an image of the engine into every node that does not have it.
func (c *Cluster) Load(ctx context.Context, image string) error {
	id := docker.ImageID(ctx, image)
	if id == "" {
		return fmt.Errorf("the engine has no image %s: build it or pull it first", image)
	}
	all, err := c.provider(io.Discard).ListInternalNodes(c.Name())
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no cluster %s to load %s into: run `lab up` first", c.Name(), image)
	}
	lacking, err := without(all, image, id)
	if err != nil || len(lacking) == 0 {
		return err
	}
	return c.log.Do(fmt.Sprintf("loading %s into %d nodes", image, len(lacking)), func(out io.Writer) error {
		archive, err := os.CreateTemp("", "lab-image-*.tar")
		if err != nil {
			return err
		}
		defer os.Remove(archive.Name())
		defer archive.Close()
		if err := step.Exec(docker.Command(ctx, "save", "--output", archive.Name(), image), out); err != nil {
			return err
		}
		var group errgroup.Group
		for _, node := range lacking {
			group.Go(func() error { return loadArchive(node, archive.Name()) })
		}
		return group.Wait()
	})
}

func loadArchive(node nodes.Node, path string) error {
	archive, err := os.Open(path)
	if err != nil {
		return err
	}
	defer archive.Close()
	return nodeutils.LoadImageArchive(node, archive)
}

// without picks the nodes on which the image's name does not stand for the ID.
func without(all []nodes.Node, image, id string) ([]nodes.Node, error) {
	lacks := make([]bool, len(all))
	var group errgroup.Group
	for i, node := range all {
		group.Go(func() error {
			var list bytes.Buffer
			if err := node.Command("ctr", "--namespace=k8s.io", "images", "list").SetStdout(&list).Run(); err != nil {
				return fmt.Errorf("listing the images of node %s: %w", node, err)
			}
			lacks[i] = !has(list.String(), image, id)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var lacking []nodes.Node
	for i, node := range all {
		if lacks[i] {
			lacking = append(lacking, node)
		}
	}
	return lacking, nil
}

// has tells from what `ctr images list` prints whether the image's name stands
// for the ID. containerd lists an image twice, by its name and by its ID, each
// with the digest of its manifest.
func has(list, image, id string) bool {
	digests := map[string]string{}
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) >= 3 {
			digests[fields[0]] = fields[2]
		}
	}
	digest := digests[qualified(image)]
	// An engine that keeps images in containerd gives the manifest's digest as ID.
	return digest != "" && (digest == digests[id] || digest == id)
}

// qualified returns an image's name in full, as containerd keeps it.
func qualified(image string) string {
	registry, _, found := strings.Cut(image, "/")
	switch {
	case !found:
		image = "docker.io/library/" + image
	case !strings.ContainsAny(registry, ".:") && registry != "localhost":
		image = "docker.io/" + image
	}
	if name := image[strings.LastIndex(image, "/"):]; !strings.Contains(name, ":") {
		image += ":latest"
	}
	return image
}
