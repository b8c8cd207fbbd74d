package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// machineFile records what the machine was like before the engine changed it.
// It exists from the engine's first start until it is taken down.
const machineFile = "machine.json"

const forwardingFile = "/proc/sys/net/ipv4/ip_forward"

// machine is what dockerd changes outside its folder and does not change back.
type machine struct {
	// Forwarding is the content of net.ipv4.ip_forward.
	Forwarding string `json:"forwarding"`
	// Firewalls has one entry for each of IPv4 and IPv6.
	Firewalls []firewall `json:"firewalls"`
}

// firewall is the state of one packet filter.
type firewall struct {
	// Command is its program: iptables or ip6tables.
	Command string `json:"command"`
	// ForwardPolicy is the filter table's policy for forwarded packets.
	ForwardPolicy string `json:"forwardPolicy"`
	// Docker is true where another engine has its chains there.
	Docker bool `json:"docker"`
}

func (p Private) recordMachine(ctx context.Context) error {
	if p.Used() {
		return nil
	}
	forwarding, err := os.ReadFile(forwardingFile)
	if err != nil {
		return err
	}
	state := machine{Forwarding: strings.TrimSpace(string(forwarding))}
	for _, command := range []string{"iptables", "ip6tables"} {
		rules, err := saveRules(ctx, command)
		if err != nil {
			return err
		}
		state.Firewalls = append(state.Firewalls, firewall{
			Command:       command,
			ForwardPolicy: forwardPolicy(rules),
			Docker:        undoDocker(rules) != "",
		})
	}
	content, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return os.WriteFile(p.path(machineFile), content, 0o644)
}

// restoreMachine takes back what the engine left, except where another engine
// uses it too.
func (p Private) restoreMachine(ctx context.Context) error {
	content, err := os.ReadFile(p.path(machineFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var state machine
	if err := json.Unmarshal(content, &state); err != nil {
		return fmt.Errorf("%s: %w", p.path(machineFile), err)
	}
	for _, firewall := range state.Firewalls {
		if !firewall.Docker {
			if err := firewall.restore(ctx); err != nil {
				return err
			}
		}
	}
	if state.Forwarding == "0" {
		if err := os.WriteFile(forwardingFile, []byte("0"), 0o644); err != nil {
			return err
		}
	}
	return os.Remove(p.path(machineFile))
}

func (f firewall) restore(ctx context.Context) error {
	rules, err := saveRules(ctx, f.Command)
	if err != nil {
		return err
	}
	undo := undoDocker(rules)
	if forwardPolicy(rules) != f.ForwardPolicy {
		undo += fmt.Sprintf("*filter\n-P FORWARD %s\nCOMMIT\n", f.ForwardPolicy)
	}
	if undo == "" {
		return nil
	}
	restore := exec.CommandContext(ctx, f.Command+"-restore", "--noflush")
	restore.Stdin = strings.NewReader(undo)
	if out, err := restore.CombinedOutput(); err != nil {
		return fmt.Errorf("%s-restore: %w: %s", f.Command, err, out)
	}
	return nil
}

func saveRules(ctx context.Context, command string) (string, error) {
	out, err := exec.CommandContext(ctx, command+"-save").Output()
	if err != nil {
		return "", fmt.Errorf("%s-save: %w", command, err)
	}
	return string(out), nil
}

// deleteLinks deletes the containers' links to the engine's bridges. The kernel
// keeps one for as long as a connection of a killed container lingers.
func (p Private) deleteLinks() error {
	networks, err := os.ReadFile(p.path("data/network/files/local-kv.db"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	links, err := filepath.Glob("/sys/class/net/br-*/brif/*")
	if err != nil {
		return err
	}
	for _, link := range links {
		bridge := filepath.Base(filepath.Dir(filepath.Dir(link)))
		if !knows(networks, bridge) {
			continue
		}
		if out, err := exec.Command("ip", "link", "delete", filepath.Base(link)).CombinedOutput(); err != nil {
			return fmt.Errorf("ip link delete: %w: %s", err, out)
		}
	}
	return nil
}

// knows tells whether a bridge belongs to a network in an engine's database: it
// is named by the first digits of the network's ID.
func knows(networks []byte, bridge string) bool {
	id, ok := strings.CutPrefix(bridge, "br-")
	return ok && len(id) == 12 && bytes.Contains(networks, []byte(id))
}

// removeControlGroups removes the empty control groups of containers that are
// gone. One with a process in it is in use, and the kernel keeps it.
func removeControlGroups(root string) {
	var groups []string
	for _, hierarchy := range []string{"docker", "*/docker"} {
		found, err := filepath.Glob(filepath.Join(root, hierarchy))
		if err != nil {
			continue
		}
		for _, top := range found {
			_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					groups = append(groups, path)
				}
				return nil
			})
		}
	}
	for _, group := range slices.Backward(groups) { // a group goes after those in it
		_ = os.Remove(group)
	}
}

// forwardPolicy finds in the text of iptables-save the policy of the filter
// table's FORWARD chain. A table that is not in use accepts.
func forwardPolicy(rules string) string {
	table := ""
	for line := range strings.Lines(rules) {
		if name, ok := strings.CutPrefix(line, "*"); ok {
			table = strings.TrimSpace(name)
		}
		if rest, ok := strings.CutPrefix(line, ":FORWARD "); ok && table == "filter" {
			return strings.Fields(rest)[0]
		}
	}
	return "ACCEPT"
}

// undoDocker turns the text of iptables-save into one for iptables-restore
// --noflush that removes docker's chains and every rule that jumps to one.
func undoDocker(rules string) string {
	var undo strings.Builder
	var table string
	var drops, chains []string
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table, drops, chains = line, nil, nil
		case strings.HasPrefix(line, ":DOCKER"):
			chains = append(chains, strings.Fields(line[1:])[0])
		case strings.HasPrefix(line, "-A ") && strings.Contains(line, " -j DOCKER"):
			drops = append(drops, "-D"+strings.TrimPrefix(line, "-A"))
		case line == "COMMIT" && len(chains) > 0:
			fmt.Fprintln(&undo, table)
			for _, drop := range drops {
				fmt.Fprintln(&undo, drop)
			}
			// A chain can only go when no other refers to it.
			for _, operation := range []string{"-F", "-X"} {
				for _, chain := range chains {
					fmt.Fprintln(&undo, operation, chain)
				}
			}
			fmt.Fprintln(&undo, "COMMIT")
		}
	}
	return undo.String()
}
