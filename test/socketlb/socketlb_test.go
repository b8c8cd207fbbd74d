package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// asChild makes the test's program one that dials: what it may say of each line of
// its input.
const asChild = "SOCKETLB_TEST_DIALS"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			fmt.Println(dial(lines.Text()))
		}
		return
	}
	os.Exit(m.Run())
}

// dial tells where a dial of an address ended, and where it seemed to.
func dial(text string) string {
	network, address, _ := strings.Cut(text, " ")
	conn, err := net.Dial(network, address)
	if err != nil {
		for _, errno := range []syscall.Errno{syscall.EHOSTUNREACH, syscall.ECONNREFUSED} {
			if errors.Is(err, errno) {
				return errno.Error()
			}
		}
		return err.Error()
	}
	defer conn.Close()
	greeting, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(greeting) + " as " + conn.RemoteAddr().String()
}

// greet makes a backend that tells its name.
func greet(t *testing.T, name, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("no loopback at %s: %v", address, err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, name)
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

// newCgroup makes a cgroup of its own, which takes what a machine may not give.
func newCgroup(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(mounts)) {
		mount, source, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(mount); strings.HasPrefix(source, "cgroup2 ") && len(fields) > 4 {
			folder := filepath.Join(fields[4], fmt.Sprintf("socketlb-test-%d", os.Getpid()))
			if err := os.Mkdir(folder, 0o755); err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() {
				if err := syscall.Rmdir(folder); err != nil {
					t.Error(err)
				}
			})
			return folder
		}
	}
	t.Skip("no cgroup2 is mounted")
	return ""
}

// dialler starts a process that dials, in a cgroup.
func dialler(t *testing.T, cgroup string) (dials func(network, address string) string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), asChild+"=1")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = child.Wait()
	})
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), fmt.Appendln(nil, child.Process.Pid), 0o600); err != nil {
		t.Skip(err)
	}
	answers := bufio.NewScanner(out)
	return func(network, address string) string {
		fmt.Fprintln(in, network, address)
		answers.Scan()
		return answers.Text()
	}
}

func TestBalancer(t *testing.T) {
	cgroup := newCgroup(t)
	b, err := attach(cgroup)
	if errors.Is(err, os.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	inside, outside := dialler(t, cgroup), dial
	set := func(line string) {
		t.Helper()
		services, err := parse(line)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.set(services); err != nil {
			t.Fatal(err)
		}
	}
	one, two := greet(t, "one", "127.0.0.1:0"), greet(t, "two", "127.0.0.1:0")
	six := greet(t, "six", "[::1]:0")
	refusing, _ := net.Listen("tcp", "127.0.0.1:0")
	refusing.Close()
	const service, other, serviceSix = "127.0.0.9:31000", "127.0.0.9:31001", "[::9]:31000"

	set(service + "=" + one + " " + other + "= " + serviceSix + "=" + six)
	for _, tt := range []struct{ network, address, want string }{
		{"tcp4", service, "one as " + service},
		{"tcp6", serviceSix, "six as " + serviceSix},
		{"tcp4", other, syscall.EHOSTUNREACH.Error()},
		{"tcp4", two, "two as " + two},
		{"tcp4", "127.0.0.9:31002", syscall.ECONNREFUSED.Error()},
	} {
		if got := inside(tt.network, tt.address); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.network, tt.address, got, tt.want)
		}
	}
	if got := outside("tcp4 " + service); got != syscall.ECONNREFUSED.Error() {
		t.Errorf("outside of the cgroup: %q", got)
	}

	set(service + "=" + one + "," + two)
	var met []string
	for range 64 {
		if got := inside("tcp4", service); !slices.Contains(met, got) {
			met = append(met, got)
		}
	}
	if slices.Sort(met); !slices.Equal(met, []string{"one as " + service, "two as " + service}) {
		t.Errorf("of two backends it met %q", met)
	}
	if got := inside("tcp4", other); got != syscall.ECONNREFUSED.Error() {
		t.Errorf("a service that is gone: %q", got)
	}

	set(service + "=" + refusing.Addr().String())
	if got := inside("tcp4", service); got != syscall.ECONNREFUSED.Error() {
		t.Errorf("a backend that refuses: %q", got)
	}

	set(service + "=" + one)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := inside("tcp4", service); got != syscall.ECONNREFUSED.Error() {
		t.Errorf("when it is gone: %q", got)
	}
}

func TestParse(t *testing.T) {
	for line, want := range map[string]int{
		"":                                      0,
		"192.0.2.1:80=":                         1,
		"192.0.2.1:80=192.0.2.2:80 [::1]:80=":   2,
		"192.0.2.1:80":                          -1,
		"192.0.2.1=192.0.2.2:80":                -1,
		"192.0.2.1:80=192.0.2.2":                -1,
		"192.0.2.1:80=" + repeat("[::1]:1", 16): 1,
		"192.0.2.1:80=" + repeat("[::1]:1", 17): -1,
	} {
		services, err := parse(line)
		if (err != nil) != (want < 0) || err == nil && len(services) != want {
			t.Errorf("%q: got %d services, %v", line, len(services), err)
		}
	}
}

func repeat(text string, times int) string {
	return strings.Join(slices.Repeat([]string{text}, times), ",")
}

func TestOwnCgroup(t *testing.T) {
	folder := t.TempDir()
	mountinfo := filepath.Join(t.TempDir(), "mountinfo")
	content := "30 29 0:26 / " + folder + " rw,relatime - cgroup2 cgroup2 rw\n"
	if err := os.WriteFile(mountinfo, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ownCgroup(mountinfo); err == nil {
		t.Errorf("the machine's own cgroup is taken: %s", got)
	}
	if err := os.WriteFile(filepath.Join(folder, "cgroup.type"), []byte("domain\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ownCgroup(mountinfo); got != folder || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(mountinfo, []byte("30 29 0:26 / /proc rw - proc proc rw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ownCgroup(mountinfo); err == nil {
		t.Errorf("no cgroup2 at all: %s", got)
	}
}
