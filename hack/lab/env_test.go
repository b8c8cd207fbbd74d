package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestExportsAreWhatAShellReads(t *testing.T) {
	lines := exports("unix:///a b/docker.sock", "/it's/kubeconfig", []string{"/a b/assets", "/bin"})
	shell := exec.Command("sh", "-c", lines+`printf '%s\n' "$DOCKER_HOST" "$KUBECONFIG" "$PATH"`)
	shell.Env = []string{"PATH=/old"}
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "unix:///a b/docker.sock\n/it's/kubeconfig\n/a b/assets:/bin:/old\n"
	if string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestExportsLeaveTheUsersEngineAlone(t *testing.T) {
	if got := exports("", "/kubeconfig", nil); strings.Contains(got, "DOCKER_HOST") {
		t.Errorf("got %q", got)
	}
}
