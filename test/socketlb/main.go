// Command socketlb does for the processes of a cgroup what a socket load balancer
// does, as Cilium and Calico have one: where they connect to a service's address,
// the kernel takes them to one of its backends instead, and tells them still that
// they are where they wanted to go. Packets for the service's address are not
// touched, and no other process is.
//
// The end-to-end tests run it on a node of the lab, whose cgroup is all that it
// reaches. Each line of its input is the whole table of services from then on:
//
//	172.18.0.4:31000=10.244.1.5:9898,10.244.2.3:9898 [fd00::4]:31000=
//
// Nobody gets to a service without backends. It prints a line for each that it
// has taken over, and ends with its input: whoever feeds it, when he is gone, so
// is all that it did.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "socketlb:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	cgroup, err := ownCgroup("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	b, err := attach(cgroup)
	if err != nil {
		return fmt.Errorf("attaching to %s: %w", cgroup, err)
	}
	defer b.Close()
	return follow(in, out, b.set)
}

// follow sets the table of each line, until there is no more.
func follow(in io.Reader, out io.Writer, set func(table) error) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		services, err := parse(lines.Text())
		if err == nil {
			err = set(services)
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%d services\n", len(services)); err != nil {
			return err
		}
	}
	return lines.Err()
}

// ownCgroup returns the folder of the cgroup (v2) that this process's namespace
// begins with. The machine's own would be that of every process.
func ownCgroup(mountinfo string) (string, error) {
	mounts, err := os.ReadFile(mountinfo)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		mount, source, _ := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		if !strings.HasPrefix(source, "cgroup2 ") || len(fields) < 5 {
			continue
		}
		folder := fields[4]
		// Every cgroup but the machine's has a type.
		if _, err := os.Stat(filepath.Join(folder, "cgroup.type")); err != nil {
			return "", fmt.Errorf("%s is not a cgroup of its own, but the machine's: %w", folder, err)
		}
		return folder, nil
	}
	return "", errors.New("no cgroup2 is mounted")
}
