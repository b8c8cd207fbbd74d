package mount

import (
	"slices"
	"testing"
)

func TestPointsBelow(t *testing.T) {
	const mountinfo = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 22 0:30 / /cache/engine/data/overlay2/a/merged rw - overlay overlay rw
32 31 0:5 / /cache/engine/data/overlay2/a/merged/proc rw - proc proc rw
33 22 0:6 / /cache/engine/with\040space rw - tmpfs tmpfs rw
34 22 0:7 / /cache/engineer rw - tmpfs tmpfs rw
`
	want := []string{
		"/cache/engine/with space",
		"/cache/engine/data/overlay2/a/merged/proc",
		"/cache/engine/data/overlay2/a/merged",
	}
	if got := pointsBelow(mountinfo, "/cache/engine"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
