package cluster

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/yaml"
)

func TestSetProxyMode(t *testing.T) {
	raw, err := os.ReadFile("../kind.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]v1alpha4.ProxyMode{
		"":         v1alpha4.IPTablesProxyMode,
		"iptables": v1alpha4.IPTablesProxyMode,
		"nftables": v1alpha4.NFTablesProxyMode,
		// No modes of the lab.
		"ipvs":     "",
		"none":     "",
		"NFTables": "",
	} {
		t.Run(mode, func(t *testing.T) {
			c, err := New(raw, "", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			err = c.SetProxyMode(mode)
			if got := c.config.Networking.KubeProxyMode; got != want {
				t.Errorf("the mode is %q, want %q", got, want)
			}
			if (err == nil) != (want != "") {
				t.Errorf("got the error %v", err)
			}
			for _, text := range []string{mode, "iptables", "nftables"} {
				if err != nil && !strings.Contains(err.Error(), text) {
					t.Errorf("the error does not name %s: %v", text, err)
				}
			}
		})
	}
}

func TestProxyPatch(t *testing.T) {
	const printed = `{"data": {
		"config.conf": "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: iptables\nnodePortAddresses: null\n",
		"kubeconfig.conf": "apiVersion: v1"}}`
	if patch, err := proxyPatch(printed, v1alpha4.IPTablesProxyMode); patch != "" || err != nil {
		t.Errorf("the same mode: got %q, %v", patch, err)
	}
	patch, err := proxyPatch(printed, v1alpha4.NFTablesProxyMode)
	if err != nil {
		t.Fatal(err)
	}
	var changed struct{ Data map[string]string }
	if err := json.Unmarshal([]byte(patch), &changed); err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal([]byte(changed.Data["config.conf"]), &config); err != nil {
		t.Fatal(err)
	}
	if config["mode"] != "nftables" || config["kind"] != "KubeProxyConfiguration" || len(changed.Data) != 1 {
		t.Errorf("got %s", patch)
	}

	for _, broken := range []string{"", `{"data": {}}`, `{"data": {"config.conf": "- mode"}}`} {
		if patch, err := proxyPatch(broken, v1alpha4.NFTablesProxyMode); err == nil {
			t.Errorf("of %q it makes %q", broken, patch)
		}
	}
}
