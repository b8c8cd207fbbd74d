package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

func TestDigestFollowsTheContents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	of := func(content string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		digest, err := digest(path)
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	first, changed, back := of("one"), of("two"), of("one")
	if first != back {
		t.Errorf("the same contents have the digests %s and %s", first, back)
	}
	if first == changed {
		t.Errorf("two contents have the digest %s", first)
	}
	if _, err := digest(path + "-missing"); err == nil {
		t.Error("a missing file has a digest")
	}
}

func TestPrintVerdicts(t *testing.T) {
	var out strings.Builder
	printVerdicts(&out, []v1alpha1.NodeVerdict{
		{Node: "worker", Address: "172.18.0.4", Expected: true, State: v1alpha1.NodeReachable, Observers: "2/2"},
		{Node: "worker2", Address: "172.18.0.2", State: v1alpha1.NodeUnreachable, Observers: "0/2", Reason: v1alpha1.ReasonNoLocalEndpoint},
	})
	want := `NODE      ADDRESS      EXPECTED   STATE         OBSERVERS   REASON
worker    172.18.0.4   true       Reachable     2/2         ` + `
worker2   172.18.0.2   false      Unreachable   0/2         NoLocalEndpoint
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
