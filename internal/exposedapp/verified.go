package exposedapp

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// verified remembers by which digest children are as declared. So an app is rendered
// when it changes, not whenever something about it is heard.
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

// finding is how a child is known to be as declared: by its digest, or by the version
// that an apply brought about, of which the digest is not seen yet.
type finding struct {
	declaration
	digest  digest
	version string
}

func newVerified() *verified {
	return &verified{children: make(map[childKey]finding)}
}

// asDeclared tells whether a child is as declared. wanted returns the digest of what is,
// which is asked for when it is not known.
func (v *verified) asDeclared(
	kind string, declared declaration, live metav1.Object, wanted func() digest,
) bool {
	key := childKey{types.NamespacedName{Namespace: live.GetNamespace(), Name: live.GetName()}, kind}
	v.mu.Lock()
	found := v.children[key]
	v.mu.Unlock()
	switch {
	case found.declaration == declared && found.version == "":
	case found.declaration == declared && found.version == live.GetResourceVersion():
		// The API server may write a value in another way than it was declared.
		found = finding{declaration: declared, digest: keptDigest(live)}
	default:
		found = finding{declaration: declared, digest: wanted()}
	}
	v.note(key, found)
	return found.digest != 0 && found.digest == keptDigest(live)
}

// applied notes that an apply made a child, in a version, what is declared.
func (v *verified) applied(key types.NamespacedName, kind string, declared declaration, version *string) {
	if version != nil {
		v.note(childKey{key, kind}, finding{declaration: declared, version: *version})
	}
}

func (v *verified) note(key childKey, found finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.children[key] = found
}

func (v *verified) forget(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, kind := range []string{"Deployment", "Service"} {
		delete(v.children, childKey{key, kind})
	}
}
