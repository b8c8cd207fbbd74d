// Command lab brings up a real three-node KinD cluster, on a machine that can
// pull container images and on one that cannot.
//
// It finds or starts a container engine, pulls or builds the node image, makes
// the cluster, and takes all of it away again. Progress goes to standard error;
// standard output carries only what a Makefile or a shell reads.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: go run ./hack/lab COMMAND

  assets          build kube-apiserver, etcd and kubectl for envtest; print their folder
  browser         install Chromium where there is none; print its path
  engine          start the container engine
  up              bring up the cluster, or leave a healthy one as it is but for kube-proxy's mode
  load IMAGE...   load images from the engine into the nodes
  flux            install Flux's kustomize-controller in the cluster
  env             print the shell variables that reach the engine and the cluster
  down            remove everything but the build cache

  LAB_PROXY picks the mode of the cluster's kube-proxy: iptables, the default,
  or nftables.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second interrupt ends what did not heed the first.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("which command?\n%s", usage)
	}
	lab, err := newLab()
	if err != nil {
		return err
	}
	switch command, args := args[0], args[1:]; command {
	case "assets":
		return lab.assets(ctx)
	case "browser":
		return lab.exclusively(ctx, lab.browser)
	case "engine":
		return lab.exclusively(ctx, lab.startEngine)
	case "up":
		// What is wrong with the wish is told before the wait for others.
		if _, err := lab.cluster(); err != nil {
			return err
		}
		return lab.exclusively(ctx, lab.up)
	case "load":
		return lab.exclusively(ctx, func(ctx context.Context) error { return lab.load(ctx, args) })
	case "flux":
		return lab.exclusively(ctx, lab.flux)
	case "env":
		return lab.env(ctx)
	case "down":
		return lab.exclusively(ctx, lab.down)
	default:
		return fmt.Errorf("unknown command %q\n%s", command, usage)
	}
}
