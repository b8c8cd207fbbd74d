package exposedapp

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// verified remembers by which digest children are as declared. So an app is rendered
// when it changes, not whenever something about it is heard.
type verified struct {
	mu   sync.Mutex
	apps map[types.NamespacedName]*findings
}

// findings are those on the children of an app, which have its name.
type findings struct{ deployment, service finding }

// on returns the finding on the child of a kind.
func (f *findings) on(kind string) *finding {
	if kind == "Service" {
		return &f.service
	}
	return &f.deployment
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
	return &verified{apps: make(map[types.NamespacedName]*findings)}
}

// asDeclared tells whether a child is as declared. wanted returns the digest of what is,
// which is asked for when it is not known.
func (v *verified) asDeclared(
	kind string, declared declaration, live metav1.Object, wanted func() digest,
) bool {
	key := types.NamespacedName{Namespace: live.GetNamespace(), Name: live.GetName()}
	kept := remarkOn(live).digest
	found := v.noted(key, kind)
	switch {
	case found.declaration == declared && found.version == "":
	case found.declaration == declared && found.version == live.GetResourceVersion():
		// The API server may write a value in another way than it was declared.
		found = finding{declaration: declared, digest: kept}
	default:
		found = finding{declaration: declared, digest: wanted()}
	}
	v.note(key, kind, found)
	return found.digest != 0 && found.digest == kept
}

// applied notes that an apply made a child, in a version, what is declared.
func (v *verified) applied(key types.NamespacedName, kind string, declared declaration, version *string) {
	if version != nil {
		v.note(key, kind, finding{declaration: declared, version: *version})
	}
}

func (v *verified) noted(key types.NamespacedName, kind string) finding {
	v.mu.Lock()
	defer v.mu.Unlock()
	if app := v.apps[key]; app != nil {
		return *app.on(kind)
	}
	return finding{}
}

func (v *verified) note(key types.NamespacedName, kind string, found finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	app := v.apps[key]
	if app == nil {
		app = &findings{}
		v.apps[key] = app
	}
	*app.on(kind) = found
}

func (v *verified) forget(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.apps, key)
}
