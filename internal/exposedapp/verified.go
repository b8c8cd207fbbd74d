package exposedapp

import (
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// verified remembers by which digest children are as declared. So an app is rendered
// when it changes, not whenever something about it is heard. Nor is the API server asked
// again then what it decided against.
type verified struct {
	mu        sync.Mutex
	apps      map[types.NamespacedName]*findings
	decisions map[childKey]decision
}

// childKey is an app, which its children have the name of, and the kind of one of them.
type childKey struct {
	app  types.NamespacedName
	kind string
}

// matter is what the API server is asked: to bring a child of a version, or none, to what
// is declared.
type matter struct {
	declaration
	nodePort int32
	version  string
}

// decision is what it decided, and for how long that is not asked again.
type decision struct {
	matter
	refusal *refusal
	until   time.Time
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

// declaration is what a child is rendered from, but for its node port.
type declaration struct {
	app        types.UID
	generation int64
}

// finding is how a child is known to be as declared: by its digest, or by the version
// that an apply brought about, of which the digest is not seen yet.
type finding struct {
	declaration
	digest  digest
	version string
}

func newVerified() *verified {
	return &verified{
		apps: make(map[types.NamespacedName]*findings), decisions: make(map[childKey]decision),
	}
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
	delete(v.decisions, childKey{key, "Deployment"})
	delete(v.decisions, childKey{key, "Service"})
}

// decided returns the refusal that stands in a matter, nil where it has to be asked.
func (v *verified) decided(key childKey, asked matter, now time.Time) *refusal {
	v.mu.Lock()
	defer v.mu.Unlock()
	if made := v.decisions[key]; made.matter == asked && now.Before(made.until) {
		return made.refusal
	}
	return nil
}

// decide notes the API server's answer in a matter. One that may be another at the next
// try is no decision.
func (v *verified) decide(key childKey, asked matter, refusal *refusal, now time.Time) *refusal {
	v.mu.Lock()
	defer v.mu.Unlock()
	if refusal.pause() == 0 {
		delete(v.decisions, key)
	} else {
		v.decisions[key] = decision{matter: asked, refusal: refusal, until: now.Add(refusal.again)}
	}
	return refusal
}
