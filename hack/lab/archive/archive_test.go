package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestArchiveNamesItsPartsAndTheirDigest(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "pause"), []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := Config{Entrypoint: []string{"/pause"}, StopSignal: "SIGTERM"}
	if err := Create(t.Context(), dir, "example.com/pause:1", root, config, io.Discard); err != nil {
		t.Fatal(err)
	}

	reader := Reader(dir)
	defer reader.Close()
	files := map[string][]byte{}
	for archive := tar.NewReader(reader); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}

	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 || len(manifest[0].Layers) != 1 || len(manifest[0].RepoTags) != 1 || manifest[0].RepoTags[0] != "example.com/pause:1" {
		t.Fatalf("manifest %+v", manifest)
	}
	var image struct {
		Config Config `json:"config"`
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(files[manifest[0].Config], &image); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(files[manifest[0].Layers[0]])
	if want := "sha256:" + hex.EncodeToString(digest[:]); image.RootFS.DiffIDs[0] != want {
		t.Errorf("the config names layer %s, the layer is %s", image.RootFS.DiffIDs[0], want)
	}
	if image.Config.Entrypoint[0] != "/pause" || image.Config.StopSignal != "SIGTERM" {
		t.Errorf("config %+v", image.Config)
	}
}
