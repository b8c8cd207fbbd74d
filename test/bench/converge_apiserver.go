package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const apiServerName = "kube-apiserver"

// apiServer finds the kube-apiserver, which is a child of this process.
func (c *cluster) apiServer() (*process, error) {
	pid, err := childNamed(apiServerName)
	if err != nil {
		return nil, err
	}
	found, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	return &process{name: apiServerName, cmd: &exec.Cmd{Process: found}, ended: make(chan struct{})}, nil
}

// restartAPIServer kills the kube-apiserver and starts another on the same etcd.
// Its memory of what happened begins anew with it, so that every watch that was
// there before has to list again. More arguments take precedence over those that it had.
func (c *cluster) restartAPIServer(ctx context.Context, b *bench, more ...string) error {
	pid, err := childNamed(apiServerName)
	if err != nil {
		return err
	}
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	err = await(ctx, "the API server to end", time.Minute, func() (bool, error) {
		_, err := childNamed(apiServerName)
		return err != nil, nil
	})
	if err != nil {
		return err
	}
	command := append(strings.Split(strings.TrimRight(string(line), "\x00"), "\x00"), more...)
	var p *process
	return await(ctx, "the API server to be ready", time.Minute, func() (bool, error) {
		// Its port may be taken for a moment: one that tries to reach it in vain can
		// be given that very port as its own.
		if p == nil || p.alive() != nil {
			if p, err = startProcess(ctx, b, apiServerName, nil, command...); err != nil {
				return false, err
			}
		}
		err := c.admin.List(ctx, &corev1.NodeList{})
		return err == nil, err
	})
}

// childNamed returns the process id of a child of this process, by the name of
// its program.
func childNamed(name string) (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			// It ended meanwhile.
			continue
		}
		if childOf(string(stat), os.Getpid(), name) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no %s is a child of this process", name)
}

// childOf tells whether a line of /proc/PID/stat is of a living child of a
// process that has a name.
func childOf(stat string, parent int, name string) bool {
	begin, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if begin < 0 || end < begin {
		return false
	}
	fields := strings.Fields(stat[end+1:])
	return stat[begin+1:end] == name && len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(parent)
}
