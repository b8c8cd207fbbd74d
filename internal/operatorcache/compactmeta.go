package operatorcache

import (
	"encoding/binary"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/internal/ssa"
)

// CompactMeta is what is kept of the labels, annotations and managed fields of an object in
// the cache: a digest of what the operator applied, and the one text of use. It stands in
// generateName, which says nothing of an object that has a name. A map of one entry and a
// managed field take ten times as much, and each app has three such objects.
type CompactMeta struct {
	Digest ssa.Digest
	Text   string
}

// compactPrefix is how a remark begins, and no generateName can.
const compactPrefix = "\x00"

// Store puts a remark in the place of what it is made of.
func (r CompactMeta) Store(object metav1.Object) {
	note := binary.BigEndian.AppendUint64([]byte(compactPrefix), uint64(r.Digest))
	object.SetGenerateName(string(append(note, r.Text...)))
	object.SetManagedFields(nil)
	object.SetLabels(nil)
	object.SetAnnotations(nil)
}

// CompactMetaOf returns the remark that is kept on an object, an empty one where there is none.
func CompactMetaOf(object metav1.Object) CompactMeta {
	note, found := strings.CutPrefix(object.GetGenerateName(), compactPrefix)
	if !found {
		return CompactMeta{}
	}
	return CompactMeta{Digest: ssa.Digest(binary.BigEndian.Uint64([]byte(note[:8]))), Text: note[8:]}
}

// trimmed reports whether a remark is kept on an object.
func trimmed(object metav1.Object) bool {
	return strings.HasPrefix(object.GetGenerateName(), compactPrefix)
}
