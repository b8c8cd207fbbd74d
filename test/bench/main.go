// Command bench measures ExposedApp on a real kube-apiserver and etcd, against
// something in the same run wherever that is possible, and ends with a table of
// the figures and their goals. docs/performance.md tells how.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// benchmark measures figures whose names begin with its own.
type benchmark struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

func benchmarks() []benchmark {
	return []benchmark{
		{"converge", converge},
		{"converge_growth", convergeGrowth},
		{"writes", writes},
		{"steady", steady},
		{"memory", memory},
		{"restart", restart},
		{"probe", isolated},
		{"agent", isolated},
		{"blackhole", isolated},
		{"fleet", largeCluster},
		{"fleet_medium", mediumCluster},
		{"flapping", flapping},
	}
}

// subjects are what is measured and is not a program of its own: the bench runs
// itself for each, so that CPU time and memory are one subject's alone.
func subjects() map[string]func(ctx context.Context, arguments []string) error {
	return map[string]func(ctx context.Context, arguments []string) error{
		"floor":          floor,
		"lists":          lists,
		"naive":          naive,
		"fleet":          playFleet,
		"world":          playWorld,
		loopSubject:      dialInLoop,
		goroutineSubject: dialInGoroutines,
		agentSubject:     agentOnSignal,
		isolatedSubject:  measureIsolated,
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// The figures are the output.
	ctrl.SetLogger(klog.Background().V(klogSilent))
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// klogSilent is beyond any verbosity that is asked for.
const klogSilent = 10

func run(ctx context.Context) error {
	if len(os.Args) > 2 && os.Args[1] == "subject" {
		subject, known := subjects()[os.Args[2]]
		if !known {
			return fmt.Errorf("there is no subject %q", os.Args[2])
		}
		return subject(ctx, os.Args[3:])
	}
	pattern := flag.String("run", ".", "regular expression of the benchmarks to run")
	short := flag.Bool("short", false, "run them with next to nothing to do, only to see that they work")
	flag.Parse()
	chosen, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	return measure(ctx, chosen, *short)
}

// measure runs the chosen benchmarks, and goes on after one that fails.
func measure(ctx context.Context, chosen *regexp.Regexp, short bool) error {
	var figures []figure
	var errs []error
	for _, benchmark := range benchmarks() {
		if !chosen.MatchString(benchmark.name) {
			continue
		}
		b, err := newBench(benchmark.name, short)
		if err == nil {
			err = cmp.Or(b.measure(ctx, benchmark), ctx.Err())
			figures = append(figures, b.figures...)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", benchmark.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := writeTable(os.Stdout, figures); err != nil {
		return err
	}
	return errors.Join(errs...)
}
