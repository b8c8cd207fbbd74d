// Package packages installs Debian packages.
package packages

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/exposedapp/exposedapp/hack/lab/step"
)

const (
	// policyFile is what maintainer scripts ask before they start a service.
	policyFile = "/usr/sbin/policy-rc.d"
	// policy is the lab's answer: no.
	policy = "#!/bin/sh\n# Written by the lab of ExposedApp while it installs packages.\nexit 101\n"
)

// Missing picks from a map of command to package the packages whose command is
// not on the PATH, in the order of names.
func Missing(wanted map[string]string, lookPath func(string) (string, error)) []string {
	var missing []string
	for command, name := range wanted {
		if _, err := lookPath(command); err != nil {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// Install installs packages without starting any service of theirs.
func Install(ctx context.Context, log *step.Log, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	return log.Do("installing "+strings.Join(names, ", "), func(out io.Writer) (err error) {
		undo, err := forbidServiceStarts()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, undo()) }()
		update := aptGet(ctx, "update")
		install := aptGet(ctx, append([]string{"install", "--yes", "--no-install-recommends"}, names...)...)
		for _, cmd := range []*exec.Cmd{update, install} {
			if err := step.Exec(cmd, out); err != nil {
				return err
			}
		}
		return nil
	})
}

func aptGet(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return cmd
}

// forbidServiceStarts answers no to maintainer scripts until undone. A policy
// of somebody else's stays; one that a killed lab left is taken for its own.
func forbidServiceStarts() (undo func() error, err error) {
	there, err := os.ReadFile(policyFile)
	if err == nil && string(there) != policy {
		return func() error { return nil }, nil
	}
	if err := os.WriteFile(policyFile, []byte(policy), 0o755); err != nil {
		return nil, err
	}
	return func() error { return os.Remove(policyFile) }, nil
}
