package exposedapp

import (
	"encoding/binary"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/internal/ssa"
)

// remark is what is kept of the labels, annotations and managed fields of an object in
// the cache: a digest of what the operator applied, and the one text of use. It stands in
// generateName, which says nothing of an object that has a name. A map of one entry and a
// managed field take ten times as much, and each app has three such objects.
type remark struct {
	digest ssa.Digest
	text   string
}

// remarked is how a remark begins, and no generateName can.
const remarked = "\x00"

// keep puts a remark in the place of what it is made of.
func (r remark) keep(object metav1.Object) {
	note := binary.BigEndian.AppendUint64([]byte(remarked), uint64(r.digest))
	object.SetGenerateName(string(append(note, r.text...)))
	object.SetManagedFields(nil)
	object.SetLabels(nil)
	object.SetAnnotations(nil)
}

// remarkOn returns the remark that is kept on an object, an empty one where there is none.
func remarkOn(object metav1.Object) remark {
	note, found := strings.CutPrefix(object.GetGenerateName(), remarked)
	if !found {
		return remark{}
	}
	return remark{digest: ssa.Digest(binary.BigEndian.Uint64([]byte(note[:8]))), text: note[8:]}
}

// trimmed tells whether a remark is kept on an object.
func trimmed(object metav1.Object) bool { return strings.HasPrefix(object.GetGenerateName(), remarked) }
