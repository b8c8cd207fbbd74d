// Package archive makes container images without a container engine: from a
// folder, one layer and a config, in the format of `docker save`, which docker
// and containerd both load.
package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/exposedapp/exposedapp/hack/lab/step"
)

const (
	layerFile    = "layer.tar"
	configFile   = "config.json"
	manifestFile = "manifest.json"
)

// Config is the part of an image's configuration that the lab's images need;
// its JSON is that of the OCI image specification.
type Config struct {
	User       string   `json:"User,omitempty"`
	Env        []string `json:"Env,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
	StopSignal string   `json:"StopSignal,omitempty"`
}

// Create makes of the folder root an image called name, and puts its parts into
// dir. Files keep their owners and modes; with the same content the image is
// the same whenever it is made.
func Create(ctx context.Context, dir, name, root string, config Config, out io.Writer) error {
	layer := filepath.Join(dir, layerFile)
	if err := step.Exec(exec.CommandContext(ctx, "tar", "--create", "--file", layer, "--directory", root,
		"--numeric-owner", "--sort=name", "--mtime=@0", "."), out); err != nil {
		return err
	}
	diffID, err := fileDigest(layer)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, configFile), imageConfig(config, diffID)); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, manifestFile), []map[string]any{{
		"Config":   configFile,
		"RepoTags": []string{name},
		"Layers":   []string{layerFile},
	}})
}

func imageConfig(config Config, diffID string) map[string]any {
	return map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       config,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{diffID}},
		"history":      []map[string]any{{"created_by": "lab"}},
	}
}

// Write writes the image whose parts are in dir as one archive.
func Write(w io.Writer, dir string) error {
	archive := tar.NewWriter(w)
	for _, name := range []string{manifestFile, configFile, layerFile} {
		if err := writeFile(archive, dir, name); err != nil {
			return fmt.Errorf("writing %s of image %s: %w", name, dir, err)
		}
	}
	return archive.Close()
}

// Reader is Write for a command that reads the archive from its standard input.
// Closing it early ends the writing.
func Reader(dir string) io.ReadCloser {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(Write(writer, dir)) }()
	return reader
}

func writeFile(archive *tar.Writer, dir, name string) error {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}

func fileDigest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}

func writeJSON(path string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
