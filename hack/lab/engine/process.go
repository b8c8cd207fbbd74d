package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one row of the process table.
type process struct {
	pid, parent int
	args        []string
}

// program is the file name of the running program.
func (p process) program() string {
	if len(p.args) == 0 {
		return ""
	}
	return filepath.Base(p.args[0])
}

// mentions tells whether an argument is a path below dir.
func (p process) mentions(dir string) bool {
	return slices.ContainsFunc(p.args, func(arg string) bool { return strings.Contains(arg, dir+"/") })
}

// leftovers picks the processes of the engine in dir: dockerd, its containerd,
// the shims, and whatever descends from them, the containers.
func leftovers(all []process, dir string) []process {
	programs := []string{"dockerd", "containerd", "containerd-shim", "containerd-shim-runc-v2"}
	var found []process
	picked := map[int]bool{}
	pick := func(p process) {
		if !picked[p.pid] {
			picked[p.pid] = true
			found = append(found, p)
		}
	}
	for _, p := range all {
		if slices.Contains(programs, p.program()) && p.mentions(dir) {
			pick(p)
		}
	}
	for i := 0; i < len(found); i++ {
		for _, p := range all {
			if p.parent == found[i].pid {
				pick(p)
			}
		}
	}
	return found
}

// killLeftovers ends the processes of the engine in dir and waits until they
// are gone.
func killLeftovers(dir string) error {
	for attempt := 0; ; attempt++ {
		all, err := readProcesses()
		if err != nil {
			return err
		}
		found := leftovers(all, dir)
		if len(found) == 0 {
			return nil
		}
		if attempt == 100 {
			return fmt.Errorf("process %d (%s) of an earlier engine does not end", found[0].pid, found[0].program())
		}
		for _, p := range found {
			if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("ending process %d: %w", p.pid, err)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func readProcesses() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if p, err := readProcess(pid); err == nil { // otherwise it ended meanwhile
			all = append(all, p)
		}
	}
	return all, nil
}

func readProcess(pid int) (process, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return process{}, err
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return process{}, err
	}
	return parseProcess(pid, string(cmdline), string(stat))
}

// parseProcess reads the texts of /proc/PID/cmdline and /proc/PID/stat. The
// command's name in stat stands in parentheses and may hold any character, so
// the fields are counted from the last one.
func parseProcess(pid int, cmdline, stat string) (process, error) {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 2 {
		return process{}, fmt.Errorf("process %d has no parent in %q", pid, stat)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return process{}, err
	}
	p := process{pid: pid, parent: parent}
	if cmdline != "" {
		p.args = strings.Split(strings.TrimRight(cmdline, "\x00"), "\x00")
	}
	return p, nil
}
