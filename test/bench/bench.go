package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench is what one benchmark runs in.
type bench struct {
	name string
	// dir is a directory for the time of the benchmark, in memory where the
	// machine has a place for that.
	dir string
	// short asks for the smallest sizes. The figures are worth nothing then.
	short    bool
	began    time.Time
	figures  []figure
	cleanups []func()
	programs map[string]string
}

func newBench(name string, short bool) (*bench, error) {
	memory := "/dev/shm"
	if _, err := os.Stat(memory); err != nil {
		memory = ""
	}
	dir, err := os.MkdirTemp(memory, "exposedapp-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{name: name, dir: dir, short: short, began: time.Now(), programs: make(map[string]string)}
	b.cleanup(func() { _ = os.RemoveAll(dir) })
	return b, nil
}

// measure runs a benchmark and cleans up after it.
func (b *bench) measure(ctx context.Context, benchmark benchmark) (err error) {
	defer func() {
		for _, f := range slices.Backward(b.cleanups) {
			f()
		}
	}()
	b.logf("begins")
	err = benchmark.run(ctx, b)
	b.logf("ends")
	return err
}

// cleanup has f run when the benchmark ends, the last first.
func (b *bench) cleanup(f func()) {
	b.cleanups = append(b.cleanups, f)
}

// report takes a figure and prints it. Of several samples it is the median.
func (b *bench) report(name, unit string, samples ...float64) {
	f := newFigure(name, unit, samples)
	b.figures = append(b.figures, f)
	fmt.Fprintln(os.Stdout, f)
}

// logf tells of progress, with the time passed.
func (b *bench) logf(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "[%6.1fs] %s: %s\n", time.Since(b.began).Seconds(), b.name, fmt.Sprintf(format, arguments...))
}

// pick returns a size: one for the measurement, one for a short run.
func pick[T any](b *bench, size, short T) T {
	if b.short {
		return short
	}
	return size
}

// build builds a program of the module, given by its package, as the images
// have it.
func (b *bench) build(ctx context.Context, program string) (path string, err error) {
	if path, done := b.programs[program]; done {
		return path, nil
	}
	path = filepath.Join(b.dir, filepath.Base(program))
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", path,
		"github.com/exposedapp/exposedapp/"+strings.TrimPrefix(program, "./"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", program, err, output)
	}
	b.programs[program] = path
	return path, nil
}

// await polls until a condition holds.
func await(ctx context.Context, what string, atMost time.Duration, holds func() (bool, error)) error {
	deadline := time.Now().Add(atMost)
	for {
		ok, err := holds()
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("waited %s for %s", atMost, what), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// sleep waits, and tells whether it may go on.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
