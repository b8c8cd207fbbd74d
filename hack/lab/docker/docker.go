// Package docker runs the docker command line. Which engine that reaches is the
// environment's business: DOCKER_HOST and PATH, as KinD's library reads them too.
package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/exposedapp/exposedapp/hack/lab/archive"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// Command is a docker command.
func Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "docker", args...)
}

// Output returns what a docker command prints, without the final newline.
func Output(ctx context.Context, args ...string) (string, error) {
	out, err := Command(ctx, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("docker %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

// Works tells whether an engine answers.
func Works(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := Output(ctx, "info", "--format={{.ServerVersion}}")
	return err == nil
}

// ImageID returns the ID of the engine's image of that name, none where the
// engine has no such image.
func ImageID(ctx context.Context, name string) string {
	id, err := Output(ctx, "image", "inspect", "--format={{.Id}}", name)
	if err != nil {
		return ""
	}
	return id
}

// Load loads an image from the folder with its parts.
func Load(ctx context.Context, dir string, out io.Writer) error {
	reader := archive.Reader(dir)
	defer reader.Close()
	load := Command(ctx, "load")
	load.Stdin = reader
	return step.Exec(load, out)
}

// RemoveOtherTags removes the images that differ from name in their tag alone,
// except where a container uses one.
func RemoveOtherTags(ctx context.Context, name string, out io.Writer) error {
	repository := name[:strings.LastIndex(name, ":")]
	names, err := Output(ctx, "images", "--format={{.Repository}}:{{.Tag}}", repository)
	if err != nil {
		return err
	}
	for other := range strings.FieldsSeq(names) {
		if other != name {
			_ = step.Exec(Command(ctx, "rmi", other), out)
		}
	}
	return nil
}

// Pull pulls an image. The registry has to begin to answer within the patience;
// from then on the pull takes as long as it takes.
func Pull(ctx context.Context, name string, patience time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pull := Command(ctx, "pull", name)
	stdout, err := pull.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr strings.Builder
	pull.Stderr = &stderr
	impatience := time.AfterFunc(patience, func() { cancel(errors.New("no registry answers")) })
	defer impatience.Stop()
	if err := pull.Start(); err != nil {
		return err
	}
	// The first line comes when the registry has told what the image consists of.
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		impatience.Stop()
	}
	if err := pull.Wait(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return errors.New(strings.TrimSpace(stderr.String()))
	}
	return nil
}
