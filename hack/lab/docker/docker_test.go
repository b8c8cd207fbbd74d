package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fake puts a docker on the PATH that is this shell script.
func fake(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestPull(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		want         string
	}{
		{"a registry that never answers", "exec sleep 60", "no registry answers"},
		{"a registry that takes long after it answered", "echo Pulling from x; sleep 1", ""},
		{"no registry at all", "echo no such host >&2; exit 1", "no such host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake(t, tt.script)
			err := Pull(t.Context(), "example.com/x:1", 500*time.Millisecond)
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v, want none", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRemoveOtherTags(t *testing.T) {
	fake(t, `case $1 in images) printf 'node:old\nnode:new\n';; *) echo "$@";; esac`)
	var out strings.Builder
	if err := RemoveOtherTags(t.Context(), "node:new", &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "rmi node:old") || strings.Contains(got, "rmi node:new") {
		t.Errorf("got %q", got)
	}
}
