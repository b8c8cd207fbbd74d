// Package engine runs a container engine of the lab's own, for a machine on
// which none runs.
//
// It is Debian's dockerd with every path of it below one folder: socket, data,
// state, pid file, configuration. The machine's own docker, running or not, is
// left alone. What dockerd changes outside that folder, bridges and firewall
// rules, is taken back when the engine is taken down.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/exposedapp/exposedapp/hack/lab/docker"
	"github.com/exposedapp/exposedapp/hack/lab/mount"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// Tools maps the commands that the engine needs to their packages.
func Tools() map[string]string {
	return map[string]string{
		"dockerd":    "docker.io",
		"docker":     "docker.io",
		"containerd": "containerd",
		"runc":       "runc",
		"iptables":   "iptables",
		"ip":         "iproute2",
	}
}

// Private is the lab's own engine.
type Private struct {
	// Dir is the folder that holds all of it.
	Dir string
	Log *step.Log
}

// Host is the engine's DOCKER_HOST.
func (p Private) Host() string { return "unix://" + p.socket() }

func (p Private) socket() string     { return p.path("docker.sock") }
func (p Private) configFile() string { return p.path("daemon.json") }
func (p Private) pidFile() string    { return p.path("dockerd.pid") }
func (p Private) logFile() string    { return p.path("dockerd.log") }

func (p Private) path(name string) string { return filepath.Join(p.Dir, name) }

// Bin is a folder with the docker command line that came with the engine:
// another version of it may refuse to talk to this one.
func (p Private) Bin() string { return p.path("bin") }

// Running tells whether the engine's process is there and answers.
func (p Private) Running(ctx context.Context) bool {
	return p.pid() != 0 && p.answers(ctx)
}

// Used tells whether the engine has been started and not been taken down since,
// be it running or not.
func (p Private) Used() bool {
	_, err := os.Stat(p.path(machineFile))
	return err == nil
}

// Start starts the engine, apart from this process and whatever started it.
// runtime is the OCI runtime to register, none for the engine's own.
func (p Private) Start(ctx context.Context, runtime string) error {
	return p.Log.Do("starting a container engine of the lab's own", func(out io.Writer) error {
		if err := p.ClearWreck(); err != nil {
			return err
		}
		if err := os.MkdirAll(p.Dir, 0o711); err != nil {
			return err
		}
		if err := p.linkCommandLine(); err != nil {
			return err
		}
		if err := p.recordMachine(ctx); err != nil {
			return err
		}
		config, err := json.MarshalIndent(p.config(runtime), "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.configFile(), config, 0o644); err != nil {
			return err
		}
		if err := p.launch(ctx); err != nil {
			return err
		}
		// Whatever is in a store of an engine that was not running is left over.
		return p.removeContainers(ctx, out)
	})
}

// linkCommandLine fills Bin with the docker of the package that dockerd is from.
func (p Private) linkCommandLine() error {
	dockerd, err := exec.LookPath("dockerd")
	if err != nil {
		return err
	}
	// Where that package has none, the link leads nowhere, and the PATH goes on.
	cli := filepath.Join(filepath.Dir(filepath.Dir(dockerd)), "bin", "docker")
	link := filepath.Join(p.Bin(), "docker")
	return errors.Join(os.RemoveAll(link), os.MkdirAll(p.Bin(), 0o755), os.Symlink(cli, link))
}

// config is dockerd's. There is no default bridge: KinD makes a network of its
// own, and a bridge fewer is a bridge less to remove.
func (p Private) config(runtime string) map[string]any {
	config := map[string]any{
		"hosts":     []string{p.Host()},
		"data-root": p.path("data"),
		"exec-root": p.path("exec"),
		"pidfile":   p.pidFile(),
		"bridge":    "none",
	}
	if runtime != "" {
		config["default-runtime"] = "clamped"
		config["runtimes"] = map[string]any{"clamped": map[string]any{"path": runtime}}
	}
	return config
}

// launch starts dockerd in a session of its own and waits until it answers.
func (p Private) launch(ctx context.Context) error {
	log, err := os.Create(p.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	dockerd := exec.Command("dockerd", "--config-file", p.configFile())
	dockerd.Stdout, dockerd.Stderr = log, log
	dockerd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := dockerd.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- dockerd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		select {
		case err := <-exited:
			return fmt.Errorf("dockerd ended: %w\n%s", err, p.logTail())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("dockerd does not answer: %w\n%s", ctx.Err(), p.logTail()), p.ClearWreck())
		case <-time.After(100 * time.Millisecond):
			if p.answers(ctx) {
				return nil
			}
		}
	}
}

// Revive starts an engine that died once more, as it was.
func (p Private) Revive(ctx context.Context) error {
	return p.Log.Do("starting the lab's dead container engine once more", func(io.Writer) error {
		if err := p.ClearWreck(); err != nil {
			return err
		}
		return p.launch(ctx)
	})
}

// Down removes the containers and networks of the running engine, stops it, and
// takes back what it changed on the machine. Its images stay in its folder.
func (p Private) Down(ctx context.Context) error {
	return p.Log.Do("stopping the lab's container engine", func(out io.Writer) error {
		if err := p.removeContainers(ctx, out); err != nil {
			return err
		}
		if err := p.stop(); err != nil {
			return err
		}
		if err := p.ClearWreck(); err != nil {
			return err
		}
		removeControlGroups("/sys/fs/cgroup")
		return p.restoreMachine(ctx)
	})
}

// removeContainers removes every container, with its volumes, and every network.
func (p Private) removeContainers(ctx context.Context, out io.Writer) error {
	run := func(args ...string) error {
		return step.Exec(docker.Command(ctx, append([]string{"--host", p.Host()}, args...)...), out)
	}
	ids, err := docker.Output(ctx, "--host", p.Host(), "ps", "--all", "--quiet")
	if err != nil {
		return err
	}
	if ids != "" {
		if err := run(append([]string{"rm", "--force", "--volumes"}, strings.Fields(ids)...)...); err != nil {
			return err
		}
	}
	return errors.Join(run("network", "prune", "--force"), run("volume", "prune", "--force"))
}

// stop asks dockerd to end, and waits until it has.
func (p Private) stop() error {
	pid := p.pid()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping dockerd: %w", err)
	}
	for range 300 {
		if p.pid() == 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil // ClearWreck ends it
}

// ClearWreck ends what is left of an engine that no longer works: processes,
// network links, mounts, socket and pid file.
func (p Private) ClearWreck() error {
	if err := killLeftovers(p.Dir); err != nil {
		return err
	}
	if err := p.deleteLinks(); err != nil {
		return err
	}
	if err := mount.DetachBelow(p.Dir); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(p.path("exec")), os.RemoveAll(p.socket()), os.RemoveAll(p.pidFile()))
}

// pid returns the process ID of the engine's dockerd, zero where it does not
// run. The pid file alone proves nothing: the process may be gone, and its
// number be another's.
func (p Private) pid() int {
	content, err := os.ReadFile(p.pidFile())
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0
	}
	found, err := readProcess(pid)
	if err != nil || found.program() != "dockerd" || !found.mentions(p.Dir) {
		return 0
	}
	return pid
}

func (p Private) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.socket())
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (p Private) logTail() string {
	content, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	return step.Tail(content, 15) + "\nfull log: " + p.logFile()
}
