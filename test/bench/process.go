package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program under measurement.
type process struct {
	name  string
	cmd   *exec.Cmd
	began time.Time
	ended chan struct{}
	err   error
	log   string
}

// startProcess starts a program with more in its environment. What it says goes
// to a file, and is shown if it ends by itself.
func startProcess(ctx context.Context, b *bench, name string, environment []string, command ...string) (*process, error) {
	p := &process{name: name, ended: make(chan struct{})}
	log, err := os.CreateTemp(b.dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	p.log = log.Name()
	p.cmd = exec.CommandContext(ctx, command[0], command[1:]...)
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		p.err = p.cmd.Wait()
		_ = log.Close()
		close(p.ended)
	}()
	b.cleanup(func() { _ = p.stop() })
	return p, nil
}

// startSubject starts a subject of the bench.
func startSubject(
	ctx context.Context, b *bench, name string, environment []string, arguments ...string,
) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProcess(ctx, b, name, environment, append([]string{self, "subject", name}, arguments...)...)
}

// stop ends the process as the kubelet would, and waits for it.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}

// wait waits for a process that ends by itself, and returns the CPU time that it
// took.
func (p *process) wait() (time.Duration, error) {
	<-p.ended
	if p.err != nil {
		return 0, fmt.Errorf("%s: %w: %s", p.name, p.err, p.output())
	}
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(), nil
}

// alive returns what a process said that ended before it was stopped.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended: %w: %s", p.name, p.err, p.output())
	default:
		return nil
	}
}

// output is the end of what the process said.
func (p *process) output() string {
	text, _ := os.ReadFile(p.log)
	const most = 4000
	return string(text[max(0, len(text)-most):])
}

// cpu returns the CPU time that a running process has taken, user and system.
func (p *process) cpu() (time.Duration, error) {
	stat, err := p.proc("stat")
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything. utime and stime are the 12th
	// and 13th fields after it.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	const tick = 10 * time.Millisecond
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// resident returns the bytes of memory that a running process has in RAM, and
// anonymous those of them that no file backs.
func (p *process) resident() (float64, error)  { return p.memory("VmRSS:") }
func (p *process) anonymous() (float64, error) { return p.memory("RssAnon:") }

func (p *process) memory(kind string) (float64, error) {
	status, err := p.proc("status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(status) {
		if rest, found := strings.CutPrefix(line, kind); found {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", p.name, kind)
}

func (p *process) proc(file string) (string, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), file))
	if err != nil {
		return "", errors.Join(err, p.alive())
	}
	return string(bytes.TrimSpace(text)), nil
}
