package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/exposedapp/exposedapp/hack/lab/docker"
	"github.com/exposedapp/exposedapp/hack/lab/engine"
	"github.com/exposedapp/exposedapp/hack/lab/preflight"
)

func (l *lab) private() engine.Private {
	return engine.Private{Dir: filepath.Join(l.cache, "engine"), Log: l.log}
}

// reachEngine points this process, and so docker and KinD's library, at the
// engine that is running: the lab's own, or else the user's. It tells whether
// there is one.
func (l *lab) reachEngine(ctx context.Context) bool {
	own := l.private()
	if own.Running(ctx) {
		point(own)
		return true
	}
	if os.Getenv("DOCKER_HOST") == own.Host() {
		// From `lab env`, of an engine that is no more.
		os.Unsetenv("DOCKER_HOST")
	}
	return docker.Works(ctx)
}

func point(own engine.Private) {
	os.Setenv("DOCKER_HOST", own.Host())
	os.Setenv("PATH", own.Bin()+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// clearWreck ends what is left of an engine of the lab's own that died.
func (l *lab) clearWreck() error {
	if own := l.private(); own.Used() {
		return own.ClearWreck()
	}
	return nil
}

// startEngine starts an engine of the lab's own, unless one is running.
func (l *lab) startEngine(ctx context.Context) error {
	if l.reachEngine(ctx) {
		return nil
	}
	own := l.private()
	if err := preflight.Root(os.Geteuid(), "starting a container engine"); err != nil {
		return err
	}
	if err := preflight.SocketPath(own.Host()); err != nil {
		return err
	}
	if err := l.installTools(ctx, engine.Tools()); err != nil {
		return err
	}
	runtime := ""
	clamped, err := engine.Clamped()
	if err != nil {
		return err
	}
	if clamped {
		if runtime, err = l.builder.BuildOwn(ctx, filepath.Join(l.hack, "runtime")); err != nil {
			return err
		}
	}
	if err := own.Start(ctx, runtime); err != nil {
		return err
	}
	point(own)
	return nil
}
