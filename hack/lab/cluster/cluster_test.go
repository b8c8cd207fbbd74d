package cluster

import (
	"os"
	"slices"
	"testing"
)

func TestAddresses(t *testing.T) {
	raw, err := os.ReadFile("../kind.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(raw, "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name() != "exposedapp" {
		t.Errorf("the cluster is called %q", c.Name())
	}
	want := []string{"127.0.0.1:31000", "127.0.0.1:31001", "127.0.0.1:31002"}
	if got := c.Addresses(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHas(t *testing.T) {
	const list = `REF TYPE DIGEST SIZE PLATFORMS LABELS
docker.io/library/operator:dev application/vnd.oci.image.manifest.v1+json sha256:manifest1 9 MiB linux/amd64 -
docker.io/library/agent:dev application/vnd.oci.image.manifest.v1+json sha256:manifest2 9 MiB linux/amd64 -
sha256:config1 application/vnd.oci.image.manifest.v1+json sha256:manifest1 9 MiB linux/amd64 -
sha256:config2 application/vnd.oci.image.manifest.v1+json sha256:manifest2 9 MiB linux/amd64 -
`
	for _, tt := range []struct {
		name, image, id string
		want            bool
	}{
		{"the same image", "operator:dev", "sha256:config1", true},
		{"the same image, its ID that of the manifest", "operator:dev", "sha256:manifest1", true},
		{"an older image of the name", "operator:dev", "sha256:config2", false},
		{"an image that the node never saw", "operator:dev", "sha256:config3", false},
		{"a name that the node never saw", "plugin:dev", "sha256:config1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := has(list, tt.image, tt.id); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

func TestQualified(t *testing.T) {
	for image, want := range map[string]string{
		"operator":              "docker.io/library/operator:latest",
		"exposedapp/agent:dev":  "docker.io/exposedapp/agent:dev",
		"ghcr.io/a/podinfo:1.0": "ghcr.io/a/podinfo:1.0",
		"localhost:5000/agent":  "localhost:5000/agent:latest",
		"localhost/agent:dev":   "localhost/agent:dev",
	} {
		if got := qualified(image); got != want {
			t.Errorf("qualified(%q) = %q, want %q", image, got, want)
		}
	}
}
