package ssa

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Memo remembers the digests of children that are as declared, so that an object is
// rendered only when what is declared changes.
type Memo struct {
	mu      sync.Mutex
	entries map[ChildKey]memoEntry
}

// ChildKey is an app, whose name its children have, and the kind of one of them.
type ChildKey struct {
	App  types.NamespacedName
	Kind string
}

// Declaration is what a child is rendered from, but for its node port.
type Declaration struct {
	App        types.UID
	Generation int64
}

// memoEntry is how a child is known to be as declared: by its digest, or by the version
// that an apply brought about, whose digest is not seen yet.
type memoEntry struct {
	Declaration
	digest  Digest
	version string
}

// NewMemo returns a Memo that knows no child.
func NewMemo() *Memo { return &Memo{entries: make(map[ChildKey]memoEntry)} }

// AsDeclared reports whether a child, which has an owned digest in a version, is as
// declared. wanted returns the digest of what is declared, and is called when that is not
// known.
func (m *Memo) AsDeclared(
	of ChildKey, declared Declaration, owned Digest, version string, wanted func() Digest,
) bool {
	m.mu.Lock()
	known := m.entries[of]
	m.mu.Unlock()
	switch {
	case known.Declaration == declared && known.version == "":
	case known.Declaration == declared && known.version == version:
		// The API server may write a value in another way than it was declared.
		known = memoEntry{Declaration: declared, digest: owned}
	default:
		known = memoEntry{Declaration: declared, digest: wanted()}
	}
	m.store(of, known)
	return known.digest != 0 && known.digest == owned
}

// Applied notes that an apply made a child, in a version, what is declared.
func (m *Memo) Applied(of ChildKey, declared Declaration, version *string) {
	if version != nil {
		m.store(of, memoEntry{Declaration: declared, version: *version})
	}
}

func (m *Memo) store(of ChildKey, entry memoEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[of] = entry
}

// Forget forgets a child.
func (m *Memo) Forget(of ChildKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, of)
}
