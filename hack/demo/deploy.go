package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/exposedapp/exposedapp/hack/lab/docker"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

const (
	namespace = "exposedapp-system"
	// rolloutTimeout is how long pods may take to be replaced.
	rolloutTimeout = "--timeout=3m"
)

// deploy brings what is in the checkout into the cluster.
func deploy(ctx context.Context, log *step.Log) error {
	if err := log.Run("building the operator and the agent", exec.CommandContext(ctx, "make", "build")); err != nil {
		return err
	}
	digest, err := digest("Dockerfile", filepath.Join("bin", "operator"), filepath.Join("bin", "agent"))
	if err != nil {
		return err
	}
	operator, agent := "ghcr.io/exposedapp/operator:dev-"+digest, "ghcr.io/exposedapp/agent:dev-"+digest
	images := []string{"IMG=" + operator, "AGENT_IMG=" + agent}

	if docker.ImageID(ctx, operator) == "" || docker.ImageID(ctx, agent) == "" {
		build := exec.CommandContext(ctx, "make", append(images, "docker-build")...)
		if err := log.Run("building their images", build); err != nil {
			return err
		}
	}
	// The lab tells its steps itself.
	load := exec.CommandContext(ctx, "go", "run", "./hack/lab", "load", operator, agent)
	load.Stderr = os.Stderr
	if err := load.Run(); err != nil {
		return err
	}
	apply := exec.CommandContext(ctx, "make", append(images, "deploy")...)
	if err := log.Run("deploying", apply); err != nil {
		return err
	}
	for _, workload := range []string{"deployment/exposedapp-operator", "daemonset/exposedapp-agent"} {
		wait := kubectl(ctx, "--namespace="+namespace, "rollout", "status", workload, rolloutTimeout)
		if err := log.Run("waiting for "+workload, wait); err != nil {
			return err
		}
	}
	return nil
}

// digest returns a short digest of the files' contents.
func digest(paths ...string) (string, error) {
	hash := sha256.New()
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(hash, file)
		file.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:6]), nil
}
