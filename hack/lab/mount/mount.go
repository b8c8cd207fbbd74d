// Package mount finds and detaches what is mounted below a folder: what a
// killed container engine or an interrupted chroot leaves behind, and what would
// otherwise be removed together with the folder.
package mount

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// DetachBelow detaches every mount below dir, the deepest first. Detaching is
// lazy, so that a process which still sits in one cannot hold it.
func DetachBelow(dir string) error {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range pointsBelow(string(info), dir) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}

// pointsBelow picks from the text of /proc/self/mountinfo the mount points
// below dir, the deepest first.
func pointsBelow(mountinfo, dir string) []string {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
			points = append(points, point)
		}
	}
	// A later mount may lie on top of an earlier one, so the order is turned
	// round as a whole.
	slices.Reverse(points)
	return points
}
