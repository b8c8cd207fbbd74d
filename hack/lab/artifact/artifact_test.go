package artifact

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestKeyOf(t *testing.T) {
	if KeyOf("ab", "c") == KeyOf("a", "bc") {
		t.Error("the boundary between inputs must count")
	}
	if KeyOf("a", "b") == KeyOf("b", "a") {
		t.Error("the order of inputs must count")
	}
}

func TestMakeBuildsOnce(t *testing.T) {
	store := Store{Dir: filepath.Join(t.TempDir(), "store")}
	builds := 0
	for range 2 {
		dir, err := store.Make(t.Context(), "tool", KeyOf("v1"), func(dir string) error {
			builds++
			return os.WriteFile(filepath.Join(dir, "tool"), nil, 0o755)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "tool")); err != nil {
			t.Error(err)
		}
	}
	if builds != 1 {
		t.Errorf("built %d times, want once", builds)
	}
}

func TestMakeTakesNoHalfMadeArtifactForWhole(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	broken := errors.New("interrupted")
	half := func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	}
	if _, err := store.Make(t.Context(), "tool", "k", half); !errors.Is(err, broken) {
		t.Fatalf("got %v, want %v", err, broken)
	}
	if store.Has("tool", "k") {
		t.Error("a failed build must leave no artifact")
	}
	dir, err := store.Make(t.Context(), "tool", "k", func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("the failed build's files are in the artifact: %v", entries)
	}
}

func TestMakeRemovesOlderVersions(t *testing.T) {
	store := Store{Dir: t.TempDir()}
	nothing := func(string) error { return nil }
	for _, key := range []Key{"old", "new"} {
		if _, err := store.Make(t.Context(), "tool", key, nothing); err != nil {
			t.Fatal(err)
		}
	}
	if store.Has("tool", "old") || !store.Has("tool", "new") {
		t.Error("want the new version alone")
	}
}

func TestLockSaysThatItWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, func() { t.Error("nobody to wait for") })
	if err != nil {
		t.Fatal(err)
	}
	second, err := Lock(t.Context(), path, unlock)
	if err != nil {
		t.Fatal(err)
	}
	second()
}

func TestLockStopsWaitingWhenInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Lock(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
