package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLackOfIPv6(t *testing.T) {
	for _, tt := range []struct {
		name string
		// listed is what the engine says of the network; create ends a trial.
		listed, create string
		want           string
		tried          bool
	}{
		{"a network with IPv6", "true", "", "", false},
		{"a network of IPv4 alone", "false", "", "docker network rm kind", false},
		{"no network, on an engine with IPv6", "", "", "", true},
		{"no network, on an engine without", "", "echo Cannot read IPv6 setup for bridge >&2; exit 1", "Cannot read IPv6 setup", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			fake(t, `echo "$@" >>`+log+`; case $2 in ls) echo `+tt.listed+`;; create) `+tt.create+` ;; esac`)
			lack, err := LackOfIPv6(t.Context(), "kind")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(lack, tt.want) || (lack == "") != (tt.want == "") {
				t.Errorf("got %q, want %q", lack, tt.want)
			}
			said, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if tried := strings.Contains(string(said), "network create --ipv6"); tried != tt.tried {
				t.Errorf("tried to make a network: %t, want %t", tried, tt.tried)
			}
			if tt.tried && lack == "" && !strings.HasSuffix(string(said), "network rm "+trial+"\n") {
				t.Errorf("the trial is left behind: %s", said)
			}
		})
	}
	t.Run("no engine", func(t *testing.T) {
		fake(t, "echo no engine >&2; exit 1")
		if _, err := LackOfIPv6(t.Context(), "kind"); err == nil {
			t.Error("got none")
		}
	})
}
