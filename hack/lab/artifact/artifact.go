// Package artifact keeps what the lab builds, so that nothing is built twice.
//
// An artifact is a folder in a Store, named by what it is and by a key: a hash
// of everything that it is made from. It is made in a folder beside its final
// one and renamed when it is whole, so a folder that exists is complete, no
// matter how an earlier build ended. The store lies outside the checkout, so a
// fresh clone finds what another one built.
package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/exposedapp/exposedapp/hack/lab/mount"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// Key is a short hash of everything that an artifact is made from.
type Key string

// KeyOf hashes the inputs in their order.
func KeyOf(inputs ...string) Key {
	hash := sha256.New()
	for _, input := range inputs {
		// The length keeps ("ab", "c") and ("a", "bc") apart.
		fmt.Fprintf(hash, "%d:%s", len(input), input)
	}
	return Key(hex.EncodeToString(hash.Sum(nil))[:16])
}

// Store is a folder of artifacts.
type Store struct {
	Dir string
	Log *step.Log
}

// Path is where the artifact is, or will be.
func (s Store) Path(name string, key Key) string {
	return filepath.Join(s.Dir, name+"@"+string(key))
}

// Has tells whether the artifact has been made.
func (s Store) Has(name string, key Key) bool {
	_, err := os.Stat(s.Path(name, key))
	return err == nil
}

// Make returns the artifact's folder, and has build fill it first where it does
// not exist. Older versions of the artifact are removed after that.
func (s Store) Make(ctx context.Context, name string, key Key, build func(dir string) error) (string, error) {
	path := s.Path(name, key)
	if s.Has(name, key) {
		return path, nil
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := Lock(ctx, filepath.Join(s.Dir, name+".lock"), func() {
		s.Log.Printf("waiting for another lab that makes %s …", name)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if s.Has(name, key) { // another lab made it while this one waited
		return path, nil
	}

	unfinished := filepath.Join(s.Dir, name+".unfinished")
	if err := RemoveTree(unfinished); err != nil {
		return "", err
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return "", err
	}
	if err := build(unfinished); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", err
	}
	return path, s.removeOthers(name, path)
}

// removeOthers removes the versions of an artifact other than the one at keep:
// they are large, and nothing refers to them any more.
func (s Store) removeOthers(name, keep string) error {
	versions, err := filepath.Glob(filepath.Join(s.Dir, name+"@*"))
	if err != nil {
		return err
	}
	for _, version := range versions {
		if version != keep {
			if err := RemoveTree(version); err != nil {
				return err
			}
		}
	}
	return nil
}

// RemoveTree removes a folder in which an interrupted tool may have left mounts.
func RemoveTree(dir string) error {
	if err := mount.DetachBelow(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Lock takes the lock file at path, and calls waiting once if it has to wait for
// another process to let go of it. The lock ends with its process, however that
// ends.
func Lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for tries := 0; ; tries++ {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if tries == 0 {
			waiting()
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
