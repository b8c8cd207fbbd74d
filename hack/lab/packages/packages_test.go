package packages

import (
	"errors"
	"slices"
	"testing"
)

func TestMissing(t *testing.T) {
	lookPath := func(command string) (string, error) {
		if command == "runc" {
			return "/usr/sbin/runc", nil
		}
		return "", errors.New("not found")
	}
	got := Missing(map[string]string{"runc": "runc", "iptables": "iptables", "dockerd": "docker.io", "docker": "docker.io"}, lookPath)
	if want := []string{"docker.io", "iptables"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
