package reachability

import (
	"cmp"
	"strconv"

	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// version is a resourceVersion that is well formed, zero for none. It is compared tens of
// thousands of times for each app, and is read once for that.
type version struct {
	// number is 0 for a text that is too long for it.
	number uint64
	text   string
}

func versionOf(text string) version {
	if _, err := resourceversion.CompareResourceVersion(text, text); err != nil {
		return version{}
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		number = 0
	}
	return version{number, text}
}

// covers reports whether a report made with knowledge of the Services at version v
// knew of since. What is said of an older state says nothing of a newer one:
// another app may have held the port then.
func (v version) covers(since version) bool {
	if v.number > 0 && since.number > 0 {
		return v.number >= since.number
	}
	return v.text != "" && since.text != "" && v.compare(since) >= 0
}

// compare orders versions, none before all others.
func (v version) compare(other version) int {
	return cmp.Or(cmp.Compare(len(v.text), len(other.text)), cmp.Compare(v.text, other.text))
}
