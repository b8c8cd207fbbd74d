package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/exposedapp/exposedapp/hack/lab/artifact"
	"github.com/exposedapp/exposedapp/hack/lab/binaries"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// lab holds what the commands share.
type lab struct {
	// hack is the checkout's hack folder, cache the folder of everything that
	// the lab keeps between its runs.
	hack, cache string
	log         *step.Log
	programs    binaries.Catalog
	builder     binaries.Builder
}

func newLab() (*lab, error) {
	hack, err := hackDir()
	if err != nil {
		return nil, err
	}
	userCache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("no cache folder, set XDG_CACHE_HOME: %w", err)
	}
	cache := filepath.Join(userCache, "exposedapp")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	programs, err := binaries.Load(filepath.Join(hack, "modules"))
	if err != nil {
		return nil, err
	}
	log := step.New(os.Stderr, filepath.Join(cache, "logs"))
	return &lab{
		hack:     hack,
		cache:    cache,
		log:      log,
		programs: programs,
		builder:  binaries.Builder{Store: artifact.Store{Dir: filepath.Join(cache, "artifacts"), Log: log}, Log: log},
	}, nil
}

// exclusively runs a command while no other process runs one: two labs on one
// machine share the engine, the cluster and the cache.
func (l *lab) exclusively(ctx context.Context, command func(context.Context) error) error {
	unlock, err := artifact.Lock(ctx, filepath.Join(l.cache, "lock"), func() {
		l.log.Printf("waiting for another lab command to end …")
	})
	if err != nil {
		return err
	}
	defer unlock()
	return command(ctx)
}

// hackDir finds the checkout's hack folder from anywhere inside the checkout.
func hackDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "hack", "modules")); err == nil {
			return filepath.Join(dir, "hack"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run it inside the checkout")
		}
	}
}
