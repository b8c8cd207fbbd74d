// Package preflight finds what would stop the lab half-way, before it makes
// anything. Each check returns one line that says what is wrong and the way out.
package preflight

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Platform checks that the lab knows how to build for this machine.
func Platform(goos, goarch string) error {
	if goos != "linux" || (goarch != "amd64" && goarch != "arm64") {
		return fmt.Errorf("the lab runs on linux/amd64 and linux/arm64, not on %s/%s: use a Linux machine or a virtual one", goos, goarch)
	}
	return nil
}

// Root checks that the process may do what only root may; reason says what for.
func Root(uid int, reason string) error {
	if uid != 0 {
		return fmt.Errorf("%s needs root: run as root, or start docker and make sure that `docker info` works", reason)
	}
	return nil
}

// Packages checks that missing packages can be installed.
func Packages(missing []string, lookPath func(string) (string, error)) error {
	if len(missing) == 0 {
		return nil
	}
	if _, err := lookPath("apt-get"); err != nil {
		return fmt.Errorf("missing here, and no apt-get to install them: %s: install them, or start docker on a machine that can pull images", strings.Join(missing, ", "))
	}
	return nil
}

// Ports checks that nothing listens on the addresses, each host:port.
func Ports(addresses []string) error {
	var taken []string
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			taken = append(taken, address)
			continue
		}
		if err != nil {
			return fmt.Errorf("the cluster needs %s: %w", address, err)
		}
		listener.Close()
	}
	if len(taken) > 0 {
		return fmt.Errorf("another program listens on %s, which the cluster needs: stop it (`ss -ltnp` names it) and try again", strings.Join(taken, ", "))
	}
	return nil
}

// Space is what a folder will have to hold more than now.
type Space struct {
	Dir string
	// Bytes is how much, For what it is needed for.
	Bytes uint64
	For   string
}

// Disk checks that the file systems have the space; needs on one file system
// add up. free returns what is free where a folder is, and which file system
// that is.
func Disk(needs []Space, free func(dir string) (bytes uint64, filesystem uint64, err error)) error {
	type total struct {
		bytes, free uint64
		needs       []string
		dir         string
	}
	var filesystems []uint64
	totals := map[uint64]*total{}
	for _, need := range needs {
		bytes, filesystem, err := free(need.Dir)
		if err != nil {
			return err
		}
		if totals[filesystem] == nil {
			filesystems = append(filesystems, filesystem)
			totals[filesystem] = &total{free: bytes, dir: need.Dir}
		}
		sum := totals[filesystem]
		sum.bytes += need.Bytes
		sum.needs = append(sum.needs, fmt.Sprintf("%s for %s", Size(need.Bytes), need.For))
	}
	for _, filesystem := range filesystems {
		if sum := totals[filesystem]; sum.free < sum.bytes {
			return fmt.Errorf("%s is free where %s is, and %s is needed (%s): free some, or set XDG_CACHE_HOME, GOCACHE and GOMODCACHE to a larger disk",
				Size(sum.free), sum.dir, Size(sum.bytes), strings.Join(sum.needs, ", "))
		}
	}
	return nil
}

// Free is the free for Disk that asks the kernel. The folder need not exist yet.
func Free(dir string) (bytes uint64, filesystem uint64, err error) {
	for {
		var info syscall.Stat_t
		err := syscall.Stat(dir, &info)
		if errors.Is(err, syscall.ENOENT) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return 0, 0, &os.PathError{Op: "stat", Path: dir, Err: err}
		}
		var stat syscall.Statfs_t
		if err := syscall.Statfs(dir, &stat); err != nil {
			return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
		}
		return stat.Bavail * uint64(stat.Bsize), info.Dev, nil
	}
}

// Size writes a number of bytes for a person.
func Size(bytes uint64) string {
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}

// SocketPath checks that the kernel can take the path of a Unix socket.
func SocketPath(path string) error {
	const longest = len(syscall.RawSockaddrUnix{}.Path) - 1
	if len(path) > longest {
		return fmt.Errorf("the path %s is too long for a socket: set XDG_CACHE_HOME to a shorter one", path)
	}
	return nil
}
