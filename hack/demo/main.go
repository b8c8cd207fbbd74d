// Command demo shows the project at work in the lab's cluster, by the commands
// that a person would use: it builds and deploys what is in the checkout, exposes
// podinfo, and dials it on every node from outside the cluster.
//
// It finds docker, kubectl and what they reach in the environment, where `lab
// env` puts them. A second run of the same code changes nothing; changed code is rolled
// out, since an image's tag is a digest of what is in it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/exposedapp/exposedapp/hack/lab/step"
)

const usage = `usage: go run ./hack/demo [deploy]

  deploy   end when the operator and the agents run
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	deployOnly := len(args) == 1 && args[0] == "deploy"
	if len(args) > 0 && !deployOnly {
		return fmt.Errorf("unknown arguments %q\n%s", args, usage)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("no cache folder, set XDG_CACHE_HOME: %w", err)
	}
	log := step.New(os.Stderr, filepath.Join(cache, "exposedapp", "logs"))
	err = deploy(ctx, log)
	if err == nil && !deployOnly {
		err = expose(ctx, log)
	}
	if err != nil && ctx.Err() == nil {
		diagnose(ctx, log)
	}
	return err
}

func kubectl(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "kubectl", args...)
}

// kubectlOutput returns what kubectl prints.
func kubectlOutput(ctx context.Context, args ...string) ([]byte, error) {
	out, err := kubectl(ctx, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("kubectl %s: %s", strings.Join(args, " "), strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}
