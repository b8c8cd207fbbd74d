package preflight

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// wantLine fails unless err is one line that has each of the parts.
func wantLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("want an error")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}

func TestPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	free := other.Addr().String()

	if err := Ports([]string{free}); err != nil {
		t.Errorf("free port: %v", err)
	}
	err = Ports([]string{free, taken.Addr().String()})
	wantLine(t, err, taken.Addr().String(), "stop it")
	if strings.Contains(err.Error(), free) {
		t.Errorf("%q names a free port", err)
	}
}

func TestDisk(t *testing.T) {
	const gb = 1_000_000_000
	free := func(dir string) (uint64, uint64, error) {
		if strings.HasPrefix(dir, "/big") {
			return 50 * gb, 1, nil
		}
		return 5 * gb, 2, nil
	}
	for _, tt := range []struct {
		name  string
		needs []Space
		want  []string
	}{
		{"enough", []Space{{"/small", 4 * gb, "images"}, {"/big", 40 * gb, "builds"}}, nil},
		{"too little", []Space{{"/small", 6 * gb, "images"}}, []string{"5.0 GB is free where /small is", "6.0 GB for images", "XDG_CACHE_HOME"}},
		{"too little for both", []Space{{"/small/a", 3 * gb, "images"}, {"/big", gb, "x"}, {"/small/b", 3 * gb, "builds"}},
			[]string{"6.0 GB is needed (3.0 GB for images, 3.0 GB for builds)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Disk(tt.needs, free)
			if tt.want == nil {
				if err != nil {
					t.Errorf("got %v, want none", err)
				}
				return
			}
			wantLine(t, err, tt.want...)
		})
	}
}

func TestFreeTakesAFolderThatIsYetToBeMade(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Free(dir + "/not/yet"); err != nil {
		t.Error(err)
	}
}

func TestPackages(t *testing.T) {
	nothing := func(string) (string, error) { return "", errors.New("not found") }
	aptGet := func(string) (string, error) { return "/usr/bin/apt-get", nil }
	if err := Packages(nil, nothing); err != nil {
		t.Errorf("nothing missing: %v", err)
	}
	if err := Packages([]string{"docker.io"}, aptGet); err != nil {
		t.Errorf("apt-get is there: %v", err)
	}
	wantLine(t, Packages([]string{"docker.io", "iptables"}, nothing), "docker.io, iptables", "apt-get")
}

func TestRoot(t *testing.T) {
	if err := Root(0, "it"); err != nil {
		t.Error(err)
	}
	wantLine(t, Root(1000, "starting a container engine"), "starting a container engine needs root", "docker info")
}

func TestPlatform(t *testing.T) {
	if err := Platform("linux", "arm64"); err != nil {
		t.Error(err)
	}
	wantLine(t, Platform("darwin", "arm64"), "darwin/arm64")
	wantLine(t, Platform("linux", "s390x"), "linux/s390x")
}

func TestSocketPath(t *testing.T) {
	if err := SocketPath("/root/.cache/exposedapp/engine/docker.sock"); err != nil {
		t.Error(err)
	}
	wantLine(t, SocketPath("/"+strings.Repeat("a", 200)), "too long", "XDG_CACHE_HOME")
}
