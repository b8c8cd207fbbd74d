package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/yaml"
)

// proxyModes returns the modes of kube-proxy that the project is tested with.
func proxyModes() []v1alpha4.ProxyMode {
	return []v1alpha4.ProxyMode{v1alpha4.IPTablesProxyMode, v1alpha4.NFTablesProxyMode}
}

const (
	// proxyMap is the ConfigMap by which kubeadm configures kube-proxy, and
	// proxyConfig the key in it.
	proxyMap    = "configmap/kube-proxy"
	proxyConfig = "config.conf"
)

// SetProxyMode picks kube-proxy's mode, iptables unless told otherwise.
func (c *Cluster) SetProxyMode(mode string) error {
	if mode == "" {
		mode = string(v1alpha4.IPTablesProxyMode)
	}
	if !slices.Contains(proxyModes(), v1alpha4.ProxyMode(mode)) {
		return fmt.Errorf("%q is no mode of kube-proxy in the lab: it is one of %q", mode, proxyModes())
	}
	c.config.Networking.KubeProxyMode = v1alpha4.ProxyMode(mode)
	return nil
}

// SettleProxyMode switches kube-proxy to the cluster's mode where it runs in
// another one: in seconds, where a new cluster takes a minute. As it starts,
// kube-proxy takes away what it left in its other modes.
func (c *Cluster) SettleProxyMode(ctx context.Context) error {
	const system, timeout = "--namespace=kube-system", "--timeout=3m"
	printed, err := c.ask(ctx, patience, system, "get", proxyMap, "--output=json")
	if err != nil {
		return err
	}
	patch, err := proxyPatch(printed, c.config.Networking.KubeProxyMode)
	if err != nil || patch == "" {
		return err
	}
	return c.log.Do(fmt.Sprintf("switching kube-proxy to %s", c.config.Networking.KubeProxyMode), func(out io.Writer) error {
		for _, args := range [][]string{
			{"patch", proxyMap, "--type=merge", "--patch=" + patch},
			// All at once: a rollout would go from node to node.
			{"delete", "pods", "--selector=k8s-app=kube-proxy", timeout},
			{"rollout", "status", "daemonset/kube-proxy", timeout},
		} {
			printed, err := c.ask(ctx, patience, append([]string{system}, args...)...)
			if err != nil {
				return err
			}
			fmt.Fprint(out, printed)
		}
		return nil
	})
}

// proxyPatch returns what to change of kube-proxy's ConfigMap, as kubectl prints
// it, for a mode: nothing where it has that mode.
func proxyPatch(printed string, mode v1alpha4.ProxyMode) (string, error) {
	var found struct{ Data map[string]string }
	if err := json.Unmarshal([]byte(printed), &found); err != nil {
		return "", fmt.Errorf("%s: %w", proxyMap, err)
	}
	var config map[string]any
	if err := yaml.Unmarshal([]byte(found.Data[proxyConfig]), &config); err != nil {
		return "", fmt.Errorf("%s: %s: %w", proxyMap, proxyConfig, err)
	}
	if len(config) == 0 {
		return "", fmt.Errorf("%s has no %s", proxyMap, proxyConfig)
	}
	if config["mode"] == string(mode) {
		return "", nil
	}
	config["mode"] = string(mode)
	changed, err := yaml.Marshal(config)
	if err != nil {
		return "", err
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]string{proxyConfig: string(changed)}})
	return string(patch), err
}
