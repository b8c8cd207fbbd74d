// Command agent dials the cluster's node ports from the node it runs on and
// reports what it found. It listens on no port.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/exposedapp/exposedapp/internal/agent"
)

// version is set by the linker.
var version = "unknown"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	nodeName := flag.String("node-name", os.Getenv("NODE_NAME"), "name of the Node the agent runs on")
	workers := flag.Int("workers", 256, "number of probes that may be under way at once, half of them slow ones")
	raw := flag.Bool("raw-probe", false,
		"where the kernel takes a dial elsewhere, ask the node itself by a raw SYN, which takes the capability NET_RAW")
	logging := textlogger.NewConfig()
	logging.AddFlags(flag.CommandLine)
	flag.Parse()
	if *nodeName == "" {
		return errors.New("the name of the node is missing: set --node-name or the environment variable NODE_NAME")
	}
	if *workers < 1 {
		return fmt.Errorf("--workers is %d, but must be at least 1", *workers)
	}

	logger := textlogger.NewLogger(logging)
	klog.SetLogger(logger)
	log.SetLogger(logger)
	ctx, stop := signal.NotifyContext(klog.NewContext(context.Background(), logger),
		syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	prober, err := newProber(logger, *raw)
	if err != nil {
		return err
	}
	rest, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the API server: %w", err)
	}
	client, err := agent.NewClient(rest, version)
	if err != nil {
		return err
	}
	logger.Info("Starting", "version", version, "node", *nodeName)
	(&agent.Agent{
		Client:   client,
		NodeName: *nodeName,
		Prober:   prober,
		Workers:  *workers,
	}).Run(ctx)
	return nil
}
