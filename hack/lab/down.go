package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
)

// down removes the cluster and the lab's own engine. What was built stays.
func (l *lab) down(ctx context.Context) error {
	c, err := l.cluster()
	if err != nil {
		return err
	}
	own := l.private()
	if own.Used() && !own.Running(ctx) {
		// It died: only a running engine can remove its containers and bridges.
		if err := own.Revive(ctx); err != nil {
			return err
		}
	}
	if l.reachEngine(ctx) {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	if own.Used() {
		if err := own.Down(ctx); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(l.kubeconfig()); err != nil {
		return err
	}
	l.log.Printf("the lab is down; its build cache stays: %s in %s", l.cacheSize(ctx), l.cache)
	return nil
}

// cacheSize asks du, which counts a file with several names once.
func (l *lab) cacheSize(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "du", "--summarize", "--human-readable", l.cache).Output()
	if err != nil {
		return "of unknown size"
	}
	size, _, _ := strings.Cut(string(out), "\t")
	return size
}
