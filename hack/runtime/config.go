package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// limits are what this machine cannot exceed, whatever a container asks for.
type limits struct {
	// bounding is the capability bounding set, one bit per capability.
	bounding uint64
	// openFiles is the hard RLIMIT_NOFILE.
	openFiles uint64
}

// sysResource is the capability that lets a process exceed its hard limits and
// lower its OOM score.
const sysResource = 24

// clampBundle returns a bundle's config.json within the limits.
func clampBundle(config []byte, within limits) ([]byte, error) {
	return edit(config, func(config map[string]any) {
		if process, ok := config["process"].(map[string]any); ok {
			clamp(process, within)
		}
	})
}

// clampProcess is clampBundle for the process file of an exec.
func clampProcess(process []byte, within limits) ([]byte, error) {
	return edit(process, func(process map[string]any) { clamp(process, within) })
}

// edit changes a JSON object and leaves alone what change does not touch:
// fields that are unknown here, and numbers too large for a float.
func edit(object []byte, change func(map[string]any)) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, err
	}
	change(fields)
	return json.Marshal(fields)
}

func clamp(process map[string]any, within limits) {
	if sets, ok := process["capabilities"].(map[string]any); ok {
		for set, names := range sets {
			if names, ok := names.([]any); ok {
				sets[set] = slices.DeleteFunc(names, func(name any) bool { return !within.allows(name) })
			}
		}
	}
	if within.bounding&(1<<sysResource) != 0 {
		return
	}
	if rlimits, ok := process["rlimits"].([]any); ok {
		for _, rlimit := range rlimits {
			if rlimit, ok := rlimit.(map[string]any); ok && rlimit["type"] == "RLIMIT_NOFILE" {
				lower(rlimit, "hard", within.openFiles)
				lower(rlimit, "soft", within.openFiles)
			}
		}
	}
	if score, ok := process["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(score.String(), "-") {
		process["oomScoreAdj"] = 0
	}
}

// lower sets the field to most where it is more.
func lower(fields map[string]any, field string, most uint64) {
	number, ok := fields[field].(json.Number)
	if !ok {
		return
	}
	if value, err := strconv.ParseUint(number.String(), 10, 64); err != nil || value > most {
		fields[field] = most
	}
}

// allows tells whether the bounding set has the capability. One that is unknown
// here is newer than this list, and left for runc to judge.
func (l limits) allows(name any) bool {
	bit := slices.Index(capabilities(), fmt.Sprint(name))
	return bit < 0 || l.bounding&(1<<bit) != 0
}

// capabilities are the kernel's capabilities, each at the place of its bit.
func capabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
		"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
		"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
		"CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
		"CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
		"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
		"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
		"CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
		"CAP_CHECKPOINT_RESTORE",
	}
}
