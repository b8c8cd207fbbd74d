package exposedapp

import (
	"encoding/binary"
	"hash/fnv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// verified remembers which children are as declared. To find that out takes a
// comparison with the operator's own managed fields, by far the dearest part of
// a reconciliation, and nearly always finds what it found before.
type verified struct {
	mu       sync.Mutex
	children map[childKey]finding
}

// childKey names a child, which has the name of its app.
type childKey struct {
	app  types.NamespacedName
	kind string
}

// declaration is what a child is rendered from.
type declaration struct {
	app        types.UID
	generation int64
	nodePort   int32
}

// finding is that a child was as declared: in the version that an apply brought
// about, or with the managed fields that stand for it.
type finding struct {
	declaration
	child   types.UID
	version string
	fields  uint64
}

func newVerified() *verified {
	return &verified{children: make(map[childKey]finding)}
}

// asDeclared tells whether a child is known to be as declared. What others write
// in a field of the operator, they take away from it.
func (v *verified) asDeclared(kind string, declared declaration, live metav1.Object) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := childKey{keyOf(live), kind}
	found, known := v.children[key]
	if !known || found.declaration != declared || found.child != live.GetUID() {
		return false
	}
	fields := fieldsOf(live)
	if found.version == live.GetResourceVersion() {
		found.fields = fields
		v.children[key] = found
	}
	return found.fields == fields
}

// compared notes that a child was found to be as declared.
func (v *verified) compared(kind string, declared declaration, live metav1.Object) {
	v.note(keyOf(live), kind, finding{declared, live.GetUID(), live.GetResourceVersion(), fieldsOf(live)})
}

// applied notes that an apply made a child, in a version, what is declared. What
// that does to the managed fields is seen when the cache has that version.
func (v *verified) applied(
	key types.NamespacedName, kind string, declared declaration, child *types.UID, version *string,
) {
	if child != nil && version != nil {
		v.note(key, kind, finding{declaration: declared, child: *child, version: *version})
	}
}

func (v *verified) note(key types.NamespacedName, kind string, found finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.children[childKey{key, kind}] = found
}

func (v *verified) forget(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, kind := range []string{"Deployment", "Service"} {
		delete(v.children, childKey{key, kind})
	}
}

func keyOf(object metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// fieldsOf stands for what the operator owns of an object, since when. It is
// never 0.
func fieldsOf(live metav1.Object) uint64 {
	hash := fnv.New64a()
	// A hash takes every write.
	_, _ = hash.Write(binary.BigEndian.AppendUint64(nil, uint64(live.GetGeneration())))
	for _, entry := range live.GetManagedFields() {
		if entry.Time != nil {
			_, _ = hash.Write(binary.BigEndian.AppendUint64(nil, uint64(entry.Time.Unix())))
		}
		if entry.FieldsV1 != nil {
			_, _ = hash.Write(entry.FieldsV1.GetRawBytes())
		}
	}
	return hash.Sum64() | 1
}
