package operatorcache

import (
	"encoding/binary"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/internal/ssa"
)

// CompactMeta is what is kept of the labels, annotations and managed fields of an object in
// the cache: a digest of what the operator applied, and one string. They are stored in
// metadata.generateName, which is unused on an object that has a name. A map of one entry
// and a managed field take ten times as much memory, and each app has three such objects.
type CompactMeta struct {
	Digest ssa.Digest
	// Text is the probe annotation of a Service, the name of the Service of an
	// EndpointSlice, and who but the operator last set the replicas of a Deployment.
	Text string
}

// compactPrefix begins what is stored, and cannot begin a generateName.
const compactPrefix = "\x00"

// Store stores m on an object in place of what m was made of.
func (m CompactMeta) Store(object metav1.Object) {
	note := binary.BigEndian.AppendUint64([]byte(compactPrefix), uint64(m.Digest))
	object.SetGenerateName(string(append(note, m.Text...)))
	object.SetManagedFields(nil)
	object.SetLabels(nil)
	object.SetAnnotations(nil)
}

// CompactMetaOf returns what is stored on an object, the zero value where nothing is.
func CompactMetaOf(object metav1.Object) CompactMeta {
	note, found := strings.CutPrefix(object.GetGenerateName(), compactPrefix)
	if !found {
		return CompactMeta{}
	}
	return CompactMeta{Digest: ssa.Digest(binary.BigEndian.Uint64([]byte(note[:8]))), Text: note[8:]}
}

// trimmed reports whether a CompactMeta is stored on an object.
func trimmed(object metav1.Object) bool {
	return strings.HasPrefix(object.GetGenerateName(), compactPrefix)
}
