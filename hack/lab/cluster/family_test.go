package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/exposedapp/exposedapp/hack/lab/step"
)

func TestSettleFamily(t *testing.T) {
	raw, err := os.ReadFile("../kind.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for ipv6, want := range map[string]v1alpha4.ClusterIPFamily{
		"true":  v1alpha4.DualStackFamily,
		"false": v1alpha4.IPv4Family,
	} {
		t.Run("an engine's IPv6: "+ipv6, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\necho "+ipv6), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir)
			var said strings.Builder
			c, err := New(raw, "", "", step.New(&said, dir))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := c.settleFamily(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := c.config.Networking.IPFamily; got != want {
				t.Errorf("the family is %q, want %q", got, want)
			}
			told := 0
			if want == v1alpha4.IPv4Family {
				told = 1
			}
			if got := strings.Count(said.String(), "IPv4 alone"); got != told {
				t.Errorf("said %d times, want %d: %s", got, told, said.String())
			}
		})
	}
}

func TestCheckFamily(t *testing.T) {
	const (
		dual = "control-plane 10.244.0.0/24 fd00:10:244::/64\nworker 10.244.1.0/24 fd00:10:244:1::/64\n"
		four = "control-plane 10.244.0.0/24\nworker 10.244.1.0/24\n"
		half = "control-plane 10.244.0.0/24 fd00:10:244::/64\nworker 10.244.1.0/24\n"
		none = "control-plane \n"
	)
	for _, tt := range []struct {
		name, printed string
		family        v1alpha4.ClusterIPFamily
		// names is what an error has to mention.
		names string
	}{
		{"both families, as wanted", dual, v1alpha4.DualStackFamily, ""},
		{"IPv4, as wanted", four, v1alpha4.IPv4Family, ""},
		{"IPv4, and the machine has both", four, v1alpha4.DualStackFamily, "control-plane"},
		{"both families, and the machine has IPv4 alone", dual, v1alpha4.IPv4Family, "control-plane"},
		{"a worker of IPv4", half, v1alpha4.DualStackFamily, "worker"},
		{"a node without subnets", none, v1alpha4.IPv4Family, "control-plane"},
		{"what is no subnet", "worker none\n", v1alpha4.IPv4Family, "worker"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := checkFamily(tt.printed, tt.family)
			if (err == nil) != (tt.names == "") || err != nil && !strings.Contains(err.Error(), tt.names) {
				t.Errorf("got %v, want one that names %q", err, tt.names)
			}
		})
	}
}
