package exposedapp

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// memo remembers the digests of children that are as declared, so that an object is
// rendered only when what is declared changes.
type memo struct {
	mu      sync.Mutex
	entries map[childKey]memoEntry
}

// childKey is an app, whose name its children have, and the kind of one of them.
type childKey struct {
	app  types.NamespacedName
	kind string
}

// declaration is what a child is rendered from, but for its node port.
type declaration struct {
	app        types.UID
	generation int64
}

// memoEntry is how a child is known to be as declared: by its digest, or by the version
// that an apply brought about, whose digest is not seen yet.
type memoEntry struct {
	declaration
	digest  digest
	version string
}

func newMemo() *memo { return &memo{entries: make(map[childKey]memoEntry)} }

// asDeclared reports whether a child, which has an owned digest in a version, is as
// declared. wanted returns the digest of what is declared, and is called when that is not
// known.
func (m *memo) asDeclared(
	of childKey, declared declaration, owned digest, version string, wanted func() digest,
) bool {
	m.mu.Lock()
	known := m.entries[of]
	m.mu.Unlock()
	switch {
	case known.declaration == declared && known.version == "":
	case known.declaration == declared && known.version == version:
		// The API server may write a value in another way than it was declared.
		known = memoEntry{declaration: declared, digest: owned}
	default:
		known = memoEntry{declaration: declared, digest: wanted()}
	}
	m.store(of, known)
	return known.digest != 0 && known.digest == owned
}

// applied notes that an apply made a child, in a version, what is declared.
func (m *memo) applied(of childKey, declared declaration, version *string) {
	if version != nil {
		m.store(of, memoEntry{declaration: declared, version: *version})
	}
}

func (m *memo) store(of childKey, entry memoEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[of] = entry
}

// forget forgets a child.
func (m *memo) forget(of childKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, of)
}
