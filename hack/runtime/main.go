// Command runtime is an OCI runtime in front of runc, for a machine that holds
// back some capabilities from everybody, root included.
//
// A container engine asks for every capability when a container is privileged,
// as KinD's nodes are, and runc refuses to start what it cannot grant in full.
// This runtime takes from the container's configuration what the machine cannot
// give, and then becomes runc.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "runtime:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if file, clamp := configuration(args[1:]); file != "" {
		within, err := machineLimits()
		if err != nil {
			return err
		}
		if err := rewrite(file, within, clamp); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return syscall.Exec(runc, append([]string{"runc"}, args[1:]...), os.Environ())
}

type clampFunc func(content []byte, within limits) ([]byte, error)

// configuration returns the file by which a runc command line configures a
// process, and how to clamp it; no file where the command starts no process.
func configuration(args []string) (file string, clamp clampFunc) {
	if slices.Contains(args, "create") || slices.Contains(args, "run") {
		bundle := flagValue(args, "--bundle", "-b")
		return filepath.Join(bundle, "config.json"), clampBundle
	}
	if slices.Contains(args, "exec") {
		return flagValue(args, "--process", "-p"), clampProcess
	}
	return "", nil
}

// flagValue returns the value of a flag given as "--flag value" or
// "--flag=value".
func flagValue(args []string, names ...string) string {
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case !slices.Contains(names, name):
		case joined:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

func machineLimits() (limits, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return limits{}, err
	}
	_, rest, _ := strings.Cut(string(status), "CapBnd:")
	bounding, _, _ := strings.Cut(rest, "\n")
	bits, err := strconv.ParseUint(strings.TrimSpace(bounding), 16, 64)
	if err != nil {
		return limits{}, fmt.Errorf("reading the capability bounding set: %w", err)
	}
	var openFiles syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &openFiles); err != nil {
		return limits{}, err
	}
	return limits{bounding: bits, openFiles: openFiles.Max}, nil
}

func rewrite(file string, within limits, clamp clampFunc) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	clamped, err := clamp(content, within)
	if err != nil {
		return err
	}
	return os.WriteFile(file, clamped, 0o600)
}
