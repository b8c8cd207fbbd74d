// Command agent dials the cluster's node ports from the node it runs on, or from a
// machine outside of the cluster, and reports what it found. It listens on no port.
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

	"github.com/exposedapp/exposedapp/api/v1alpha1"
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

// options are the command line.
type options struct {
	nodeName, outsideObserver string
	workers                   int
}

// observer returns the name of the NodeReachability to report to.
func (o *options) observer() (string, error) {
	switch {
	case o.workers < 1:
		return "", fmt.Errorf("--workers is %d, but must be at least 1", o.workers)
	case o.outsideObserver != "" && o.nodeName != "":
		return "", errors.New("an observer outside of the cluster is on no node: " +
			"leave out either --outside-observer or --node-name and the environment variable NODE_NAME")
	case o.outsideObserver != "":
		return o.outsideObserver, nil
	case o.nodeName != "":
		return o.nodeName, nil
	}
	return "", errors.New("the name of the node is missing: set --node-name or the environment variable NODE_NAME, " +
		"or on a machine outside of the cluster --outside-observer and --kubeconfig")
}

func run() error {
	var opts options
	flag.StringVar(&opts.nodeName, "node-name", os.Getenv("NODE_NAME"), "name of the Node the agent runs on")
	flag.StringVar(&opts.outsideObserver, "outside-observer", "",
		"run outside of the cluster, and report to the NodeReachability of this name, "+
			"which an admin made and labelled "+v1alpha1.VantageLabel+"="+v1alpha1.VantageOutside)
	flag.IntVar(&opts.workers, "workers", 256, "number of probes that may be under way at once, half of them slow ones")
	raw := flag.Bool("raw-probe", false,
		"where the kernel takes a dial elsewhere, ask the node itself by a raw SYN, which takes the capability NET_RAW")
	logging := textlogger.NewConfig()
	logging.AddFlags(flag.CommandLine)
	flag.Parse()
	observer, err := opts.observer()
	if err != nil {
		return err
	}

	logger := textlogger.NewLogger(logging)
	klog.SetLogger(logger)
	log.SetLogger(logger)
	ctx, stop := signal.NotifyContext(klog.NewContext(context.Background(), logger),
		syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	prober, err := newProber(ctx, logger, *raw)
	if err != nil {
		return err
	}
	rest, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the API server, by --kubeconfig or in the cluster: %w", err)
	}
	client, err := agent.NewClient(rest, version)
	if err != nil {
		return err
	}
	outside := opts.outsideObserver != ""
	if outside {
		if err := client.CheckOutside(ctx, observer); err != nil {
			return err
		}
	}
	logger.Info("Starting", "version", version, "observer", observer, "outside", outside)
	(&agent.Agent{
		Client:   client,
		NodeName: observer,
		Outside:  outside,
		Prober:   prober,
		Workers:  opts.workers,
	}).Run(ctx)
	return nil
}
