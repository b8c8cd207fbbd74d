package results

import (
	"cmp"
	"strconv"

	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Version is a resourceVersion that is well formed, zero for none. It is compared tens of
// thousands of times for each app, and is read once for that.
type Version struct {
	// number is 0 for a text that is too long for it.
	number uint64
	text   string
}

// VersionOf returns the Version of a resourceVersion.
func VersionOf(text string) Version {
	if _, err := resourceversion.CompareResourceVersion(text, text); err != nil {
		return Version{}
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		number = 0
	}
	return Version{number, text}
}

// Covers reports whether a report made with knowledge of the Services at version v
// knew of since. What is said of an older state says nothing of a newer one:
// another app may have held the port then.
func (v Version) Covers(since Version) bool {
	if v.number > 0 && since.number > 0 {
		return v.number >= since.number
	}
	return v.text != "" && since.text != "" && v.Compare(since) >= 0
}

// Compare orders versions, none before all others.
func (v Version) Compare(other Version) int {
	return cmp.Or(cmp.Compare(len(v.text), len(other.text)), cmp.Compare(v.text, other.text))
}
