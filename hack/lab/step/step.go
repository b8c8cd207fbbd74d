// Package step shows a person what the lab is doing and how long it takes.
//
// A step has a title, a log file of its own and a duration. Its tools write to
// the log file; the person sees one line when the step begins, one every
// quarter of a minute while it runs, and, should it fail, the end of the log.
package step

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// beat is how often a running step says that it still runs.
	beat = 15 * time.Second
	// tailLines is how much of its log a failed step shows.
	tailLines = 15
)

// Log prints steps to one writer, each line led by the time since the start.
type Log struct {
	mu    sync.Mutex
	out   io.Writer
	dir   string
	start time.Time
}

// New returns a Log that prints to out and keeps the steps' full logs in dir.
func New(out io.Writer, dir string) *Log {
	return &Log{out: out, dir: dir, start: time.Now()}
}

// Printf prints one line.
func (l *Log) Printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "[%5.1fs] %s\n", time.Since(l.start).Seconds(), fmt.Sprintf(format, args...))
}

// Do runs one step. What do writes to its writer goes to the step's log file.
func (l *Log) Do(title string, do func(out io.Writer) error) error {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(l.dir, slug(title)+".log"))
	if err != nil {
		return err
	}
	defer file.Close()

	l.Printf("%s …", title)
	begin := time.Now()
	stop := l.beat(title, begin)
	err = do(file)
	stop()
	took := time.Since(begin)
	if err != nil {
		return l.failure(title, file.Name(), err)
	}
	if took >= beat {
		l.Printf("%s: done in %s", title, took.Round(time.Second))
	}
	return nil
}

// Run is a step that is one command.
func (l *Log) Run(title string, cmd *exec.Cmd) error {
	return l.Do(title, func(out io.Writer) error {
		return Exec(cmd, out)
	})
}

// beat says every quarter of a minute that the step still runs, until the
// returned function is called.
func (l *Log) beat(title string, begin time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(beat)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				l.Printf("%s … still at it, %s", title, time.Since(begin).Round(time.Second))
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

func (l *Log) failure(title, file string, err error) error {
	content, readErr := os.ReadFile(file)
	if end := Tail(content, tailLines); readErr == nil && end != "" {
		return fmt.Errorf("%s: %w\n%s\nfull log: %s", title, err, end, file)
	}
	return fmt.Errorf("%s: %w", title, err)
}

// Exec runs cmd with everything that it prints going to out.
func Exec(cmd *exec.Cmd, out io.Writer) error {
	fmt.Fprintf(out, "+ %s\n", strings.Join(cmd.Args, " "))
	cmd.Stderr = out
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err)
	}
	return nil
}

// Tail returns the last lines of content.
func Tail(content []byte, lines int) string {
	all := strings.Split(string(bytes.TrimRight(content, "\n")), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// slug makes a file name of a title.
func slug(title string) string {
	return strings.Trim(regexp.MustCompile(`[^A-Za-z0-9.]+`).ReplaceAllString(title, "-"), "-")
}
