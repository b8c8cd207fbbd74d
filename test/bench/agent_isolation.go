package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// benchRange is set aside for benchmarks (RFC 2544). Its addresses are those of
	// nodes and pods: loopback addresses an agent refuses to dial.
	benchRange = "198.18.0.0/15"

	// isolatedSubject runs a benchmark in a network of its own.
	isolatedSubject = "isolated"
)

// isolatedBenchmarks are those that need a network of their own, in which any
// address may be a node's and any port free.
func isolatedBenchmarks() map[string]func(context.Context, *bench) error {
	return map[string]func(context.Context, *bench) error{
		"probe":     probeCost,
		"agent":     agentAtScale,
		"blackhole": blackholes,
	}
}

// sample is a figure on its way from one process to another.
type sample struct {
	Name, Unit         string
	Value, Least, Most float64
	Samples            int
}

// isolated runs the benchmark of b, with all that it starts, in a network
// namespace that ends with it. So it changes nothing of this machine's network,
// and nothing that it dials leaves the machine.
func isolated(ctx context.Context, b *bench) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	figures, end, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = figures.Close() }()
	cmd := exec.CommandContext(ctx, self, "subject", isolatedSubject, b.name, fmt.Sprint(b.short))
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdout, os.Stderr, []*os.File{end}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	err = cmd.Start()
	_ = end.Close()
	if err != nil {
		return fmt.Errorf("making a network namespace, for which some machines ask for root: %w", err)
	}
	var unread error
	for decoder := json.NewDecoder(figures); unread == nil; {
		var s sample
		if unread = decoder.Decode(&s); unread == nil {
			b.figures = append(b.figures, figure{s.Name, s.Unit, s.Value, s.Least, s.Most, s.Samples})
		}
	}
	if errors.Is(unread, io.EOF) {
		unread = nil
	}
	return errors.Join(unread, cmd.Wait())
}

// measureIsolated is the other end of isolated.
func measureIsolated(ctx context.Context, arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("the arguments are the name of a benchmark, and whether to be short")
	}
	name, short := arguments[0], arguments[1] == "true"
	run, known := isolatedBenchmarks()[name]
	if !known {
		return fmt.Errorf("there is no isolated benchmark %q", name)
	}
	if err := furnishNetwork(ctx); err != nil {
		return err
	}
	b, err := newBench(name, short)
	if err != nil {
		return err
	}
	err = b.measure(ctx, benchmark{name, run})
	figures := json.NewEncoder(os.NewFile(3, "figures"))
	for _, f := range b.figures {
		err = errors.Join(err, figures.Encode(sample{f.name, f.unit, f.value, f.least, f.most, f.samples}))
	}
	return err
}

// furnishNetwork makes every address one of this network namespace: those of
// nodes and pods, and cluster IPs. kube-apiserver looks for a default route and an
// address on it. Only connections find them here: who asks for the way to an address, as
// the agent does to tell those of its own host, hears that it leads elsewhere.
func furnishNetwork(ctx context.Context) error {
	for _, arguments := range [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", benchRange, "dev", "lo"},
		{"route", "add", "default", "dev", "lo"},
		{"route", "add", "local", "0.0.0.0/0", "dev", "lo"},
		{"rule", "add", "pref", "1", "ipproto", "tcp", "lookup", "local"},
		{"rule", "add", "pref", "2", "to", "127.0.0.0/8", "lookup", "local"},
		{"rule", "del", "pref", "0"},
	} {
		if output, err := exec.CommandContext(ctx, "ip", arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", arguments, err, output)
		}
	}
	return nil
}
